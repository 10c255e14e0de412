"""A new kind of subject needs a module, a store and a row in the grants; the door and the audit do not change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest
import pytest_asyncio
import uuid_utils.compat as uuids

from counterfoil.core import kinds
from counterfoil.core.principal import SYSTEM
from counterfoil.core.refusals import InUse, NotFound
from counterfoil.core.subjects.account import CreateAccount
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.door import Door
from counterfoil.postgres import grants, stores
from counterfoil.postgres.connection import Connection
from counterfoil.uses.audit.progress import Tally
from counterfoil.uses.audit.whole_log import replay
from counterfoil_dev.postgres import APPLICATION, Database
from door.asking import ACCOUNT, ADMIN, create
from door.ledger_invariants import judged
from door.subscription_kind import SUBSCRIPTION, Subscribe, Subscription, Unsubscribe
from door.subscription_store import PRIVILEGES, TABLE, SubscriptionStore

REGISTERS: tuple[dict[Any, Any], ...] = (
    kinds.KINDS,
    kinds.EVENTS,
    kinds.TYPE_OF,
    kinds.KIND_OF,
    kinds.KIND_OF_STATE,
    stores.STORES,
    grants.PRIVILEGES,
)
OPEN_ACCOUNT = CreateAccount(account=ACCOUNT, id=ACCOUNT, by=SYSTEM, name="first")


@pytest_asyncio.fixture(autouse=True)
async def _subscriptions(owner: Connection) -> AsyncIterator[None]:
    with ExitStack() as stack:
        for register in REGISTERS:
            stack.enter_context(patch.dict(register))
        kinds.register(SUBSCRIPTION)
        stores.STORES["test_subscription"] = SubscriptionStore()
        grants.PRIVILEGES["subscription_url"] = PRIVILEGES
        await owner.execute(TABLE)
        await grants.grant(owner, role=APPLICATION)
        yield


def subscribe(url: str = "https://example.org/hook") -> Subscribe:
    return Subscribe(account=ACCOUNT, id=uuids.uuid7(), by=ADMIN, url=url)


async def urls(owner: Connection) -> list[str]:
    return [row["url"] for row in await owner.fetch("select url from subscription_url order by url")]


async def found(database: Database) -> list[str | None]:
    return [each.field or each.what async for each in replay(database.app_url, Tally(lambda _done, _total: None))]


async def test_a_new_kind_goes_through_the_door_and_is_written_to_its_side_table(door: Door, owner: Connection) -> None:
    await door.execute(OPEN_ACCOUNT)
    made = await door.execute(first := subscribe())
    assert isinstance(made.state, Subscription)
    assert await urls(owner) == ["https://example.org/hook"]
    ended = await door.execute(Unsubscribe(account=ACCOUNT, id=first.id, by=ADMIN, revisions=frozenset({1})))
    assert isinstance(ended.state, Subscription)
    assert (ended.state.status, ended.state.revision, await urls(owner)) == ("ended", 2, [])


async def test_the_decision_of_a_new_kind_reads_the_row_of_the_account(door: Door, owner: Connection) -> None:
    with pytest.raises(NotFound):
        await door.execute(subscribe())
    await door.execute(AllOrNothing((OPEN_ACCOUNT, subscribe())))
    assert len(await urls(owner)) == 1


async def test_of_many_simultaneous_commands_for_one_unique_value_one_succeeds(door: Door, owner: Connection) -> None:
    await door.execute(OPEN_ACCOUNT)
    answers = await asyncio.gather(*(door.execute(subscribe()) for _ in range(20)), return_exceptions=True)
    assert len([answer for answer in answers if isinstance(answer, Outcome)]) == 1
    assert len([answer for answer in answers if isinstance(answer, InUse)]) == 19
    assert len(await urls(owner)) == 1


async def test_a_new_kind_shares_batches_with_all_others_and_the_log_replays(door: Door, database: Database) -> None:
    await door.execute(OPEN_ACCOUNT)
    commands = [command for n in range(20) for command in (create(), subscribe(f"https://example.org/{n}"))]
    outcomes = await asyncio.gather(*map(door.execute, commands))
    ledger = await judged(database.owner_url)
    ledger.holds_all(outcomes)
    assert len(ledger.facts) == 41


async def test_the_audit_folds_a_new_kind_and_reports_changes_outside_the_log(
    door: Door, database: Database, owner: Connection
) -> None:
    await door.execute(OPEN_ACCOUNT)
    await door.execute(subscribe())
    assert await found(database) == []
    await owner.execute("update subject set status = 'ended' where kind = 'test_subscription'")
    assert await found(database) == ["status"]


async def test_a_rehearsal_gives_the_answer_of_the_door_and_changes_nothing(door: Door, database: Database) -> None:
    await door.execute(OPEN_ACCOUNT)
    one, two = await door.rehearse([subscribe(), subscribe()])
    assert isinstance(one, Outcome)
    assert isinstance(two, InUse)
    assert len((await judged(database.owner_url)).facts) == 1
    await door.execute(subscribe())
