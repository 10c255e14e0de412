"""Commands sent together are executed all or not at all, whatever else is in the batch."""

import asyncio
from uuid import UUID

import pytest
import uuid_utils.compat as uuids
from msgspec.structs import replace

from counterfoil.core.principal import SYSTEM
from counterfoil.core.refusals import AlreadyExists, EmailTaken
from counterfoil.core.subjects.account import CreateAccount
from counterfoil.core.unit_of_work import AllOrNothing, Request
from counterfoil.door import Door
from counterfoil.postgres.connection import Connection
from counterfoil_dev.postgres import Database
from door.asking import claim_of, create
from door.other_process import Start
from door.test_users import user


def opening(email: str, account: UUID | None = None) -> AllOrNothing:
    account = account or uuids.uuid7()
    named = CreateAccount(account=account, id=account, by=replace(SYSTEM, account=account), name="Acme")
    return AllOrNothing((named, *joining(email, account).commands))


def joining(email: str, account: UUID) -> AllOrNothing:
    by = replace(SYSTEM, account=account)
    return AllOrNothing((user(account, by=by, email=email), create(account=account, by=by)))


async def accounts(owner: Connection) -> list[tuple[str, int]]:
    """The number of subjects of each kind."""
    rows = await owner.fetch(
        "select kind, count(distinct subject_id) as n from event where kind <> 'peppers' group by kind order by kind"
    )
    return [(row["kind"], row["n"]) for row in rows]


async def test_all_commands_are_executed_in_order_and_the_first_gives_the_answer(door: Door, owner: Connection) -> None:
    asked = opening("ada@example.org")
    outcome = await door.execute(asked)
    assert outcome.state is not None
    assert outcome.state.id == asked.commands[0].account
    assert [fact.subject.kind for fact in outcome.facts] == ["account", "user", "token"]
    assert await accounts(owner) == [("account", 1), ("token", 1), ("user", 1)]
    xids = {row["xid"] for row in await owner.fetch("select xid::text as xid from event")}
    assert len(xids) == 1


async def test_one_refusal_undoes_all_and_does_not_affect_neighbours(door: Door, owner: Connection) -> None:
    account = uuids.uuid7()
    await door.execute(opening("ada@example.org", account))
    asked: list[Request] = [
        joining("Ada@example.org", account),
        joining("ben@example.org", account),
        joining("BEN@example.org", account),
        create(),
    ]
    first, second, third, fourth = await asyncio.gather(*(door.execute(each) for each in asked), return_exceptions=True)
    assert isinstance(first, EmailTaken)
    assert isinstance(third, EmailTaken)
    assert not isinstance(second, BaseException)
    assert not isinstance(fourth, BaseException)
    assert await accounts(owner) == [("account", 1), ("token", 3), ("user", 2)]


async def test_one_address_may_open_any_number_of_accounts_at_once(door: Door, owner: Connection) -> None:
    await asyncio.gather(*(door.execute(opening(email)) for email in ("ada@example.org", "Ada@example.org") * 3))
    assert await accounts(owner) == [("account", 6), ("token", 6), ("user", 6)]


async def test_a_repeated_opening_finds_the_account_there(door: Door, owner: Connection) -> None:
    asked = opening("ada@example.org")
    await door.execute(asked)
    with pytest.raises(AlreadyExists):
        await door.execute(asked)
    assert await accounts(owner) == [("account", 1), ("token", 1), ("user", 1)]


async def test_of_many_simultaneous_openings_with_one_address_in_two_processes_one_succeeds(
    door: Door, database: Database, owner: Connection, elsewhere: Start
) -> None:
    account = uuids.uuid7()
    await door.execute(opening("ben@example.org", account))
    asked = [joining("ada@example.org", account) for _ in range(20)]
    there = await elsewhere(database.app_url)
    there.send([(each, None) for each in asked[:10]])
    here = await asyncio.gather(*(door.execute(each) for each in asked[10:]), return_exceptions=True)
    answers = [*here, *await there.hear()]
    refused = [each for each in answers if isinstance(each, EmailTaken)]
    assert len(refused) == len(answers) - 1
    assert await accounts(owner) == [("account", 1), ("token", 2), ("user", 2)]


async def test_under_a_key_the_answer_is_kept_once(door: Door, owner: Connection) -> None:
    claimed = claim_of("opening", holds_secret=False)
    asked = [opening("ada@example.org") for _ in range(5)]
    outcomes = await asyncio.gather(*(door.execute(each, claimed, lambda _: b"kept") for each in asked))
    assert {outcome.reply for outcome in outcomes} == {b"kept"}
    assert await accounts(owner) == [("account", 1), ("token", 1), ("user", 1)]
