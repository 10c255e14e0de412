"""Exchanges on behalf of an actor: the actor is checked at the decision, not on arrival."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uuid_utils.compat as uuids
from msgspec.structs import replace

from counterfoil.core.principal import Actor, Principal
from counterfoil.core.refusals import Refusal, SecretRetired, TokenRevoked, TokenSuspended, UnknownSecret
from counterfoil.core.subjects.token.commands import Create, Exchange, Revoke, Suspend
from counterfoil.core.subjects.token.events import Exchanged
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Request
from counterfoil.door import Door
from door.asking import ADMIN, create, exchange, revoke, rotate


def acting(made: Create, **said: Any) -> Principal:
    usual: dict[str, Any] = {"account": made.account, "scopes": (), "generation": 1}
    return Principal(actor=Actor("token", made.id), **usual | said)


def on_behalf(subject: Create, actor: Principal) -> Exchange:
    return Exchange(
        account=subject.account, id=subject.id, by=actor, generation=1, jti=uuids.uuid7(),
        lifetime_seconds=60, actors=(actor.actor.id,),
    )  # fmt: skip


def suspend(made: Create) -> Suspend:
    return Suspend(account=made.account, id=made.id, by=ADMIN)


ENDS: dict[str, Callable[[Create], Request]] = {"revoke": revoke, "rotate": rotate, "suspend": suspend}


async def test_the_actor_is_the_caller(door: Door) -> None:
    subject, actor = create(), create()
    await asyncio.gather(door.execute(subject), door.execute(actor))
    by_secret = await door.execute(replace(exchange(subject), actor=acting(actor)))
    by_bearer = await door.execute(on_behalf(subject, acting(actor)))
    for outcome in (by_secret, by_bearer):
        (fact,) = outcome.facts
        assert isinstance(fact.event, Exchanged)
        assert (fact.by.id, fact.event.actors) == (actor.id, (actor.id,))
        assert fact.subject.id == subject.id


@pytest.mark.parametrize(
    ("ended", "refusal"), [("revoke", TokenRevoked), ("rotate", SecretRetired), ("suspend", TokenSuspended)]
)
async def test_an_actor_that_ended_before_the_decision_gets_no_bearer(
    door: Door, ended: str, refusal: type[Refusal]
) -> None:
    subject, actor = create(), create()
    await asyncio.gather(door.execute(subject), door.execute(actor))
    believed = acting(actor)  # as read on arrival
    await door.execute(ENDS[ended](actor))
    for command in (replace(exchange(subject), actor=believed), on_behalf(subject, believed)):
        with pytest.raises(refusal):
            await door.execute(command)
    await door.execute(exchange(subject))


async def test_an_actor_of_another_account_is_refused(door: Door) -> None:
    subject = create()
    foreign = create(account=uuids.uuid7(), by=replace(ADMIN, account=uuids.uuid7()))
    await asyncio.gather(door.execute(subject), door.execute(foreign))
    with pytest.raises(UnknownSecret):
        await door.execute(replace(exchange(subject), actor=acting(foreign)))


async def test_a_client_may_present_only_its_own_secret(door: Door) -> None:
    made, other = create(), create()
    await asyncio.gather(door.execute(made), door.execute(other))
    await door.execute(replace(exchange(made), client=made.id))
    with pytest.raises(UnknownSecret):
        await door.execute(replace(exchange(made), client=other.id))


async def test_a_secret_that_was_replaced_meanwhile_revokes_nothing(door: Door) -> None:
    made = create()
    await door.execute(made)
    by_secret = Revoke(account=made.account, id=made.id, by=ADMIN, reason="leaked", generation=1)
    await door.execute(rotate(made))
    assert (await door.execute(by_secret)).facts == ()
    assert (await door.execute(replace(by_secret, generation=2))).of(Token).status == "revoked"


async def test_no_bearer_is_issued_for_an_actor_after_its_end(door: Door) -> None:
    subject, actor = create(), create()
    await asyncio.gather(door.execute(subject), door.execute(actor))

    async def buy() -> float | None:
        try:
            return (await door.execute(on_behalf(subject, acting(actor)))).at.timestamp()
        except TokenRevoked:
            return None

    bought = [asyncio.create_task(buy()) for _ in range(50)]
    ended = asyncio.create_task(door.execute(revoke(actor)))
    bought += [asyncio.create_task(buy()) for _ in range(50)]
    times = await asyncio.gather(*bought)
    end = (await ended).at.timestamp()
    assert [at for at in times if at is not None and at > end] == []
    assert await buy() is None
