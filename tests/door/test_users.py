"""Simultaneous commands about users: an account keeps an administrator, and an address belongs to one user."""

import asyncio
import itertools
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import uuid_utils.compat as uuids
from msgspec.structs import replace

from counterfoil.core.principal import SYSTEM, Actor, Principal
from counterfoil.core.refusals import Busy, CallerGone, EmailTaken, LastAdministrator, NotFound, UnknownUser, UserGone
from counterfoil.core.subjects.account import CreateAccount
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.user import User, owner_of
from counterfoil.core.subjects.user_commands import (
    ChangePassword,
    CreateUser,
    DisableUser,
    EnableUser,
    EnrolTotp,
    RemoveUser,
    UpdateUser,
    UseRecoveryCode,
)
from counterfoil.core.unit_of_work import AllOrNothing, Outcome, Request
from counterfoil.door import Door
from counterfoil.postgres.connection import Connection
from counterfoil_dev.postgres import Database
from door.asking import create
from door.other_process import Start

ENDS: list[tuple[type[Command], dict[str, Any]]] = [
    (DisableUser, {"reason": "x"}), (RemoveUser, {"reason": "x"}), (UpdateUser, {"role": "member"}),
]  # fmt: skip
WAITING = "select exists (select from pg_locks where not granted)"
_EMAILS = itertools.count(1)


def user(account: UUID, **said: Any) -> CreateUser:
    usual: dict[str, Any] = {
        "id": uuids.uuid7(), "email": f"person-{next(_EMAILS)}@example.org", "number": next(_EMAILS),
        "role": "administrator", "password_hash": "$argon2id$", "by": SYSTEM,
    }  # fmt: skip
    return CreateUser(account=account, **usual | said)


def asking(made: CreateUser) -> Principal:
    return Principal(actor=Actor("user", made.id), account=made.account, scopes=("all",), owner=owner_of(made.id))


def ended(end: tuple[type[Command], dict[str, Any]], *, by: CreateUser, whom: CreateUser) -> Request:
    command, said = end
    return command(account=whom.account, id=whom.id, by=asking(by), **said)


async def account_with(door: Door, count: int) -> list[CreateUser]:
    """An account with this many administrators."""
    account = uuids.uuid7()
    await door.execute(CreateAccount(account=account, id=account, by=SYSTEM, name="Acme"))
    made = [user(account) for _ in range(count)]
    await asyncio.gather(*(door.execute(each) for each in made))
    return made


@pytest.mark.parametrize("first", ENDS, ids=lambda end: end[0].__name__)
@pytest.mark.parametrize("second", ENDS, ids=lambda end: end[0].__name__)
async def test_of_two_last_administrators_who_disable_each_other_at_once_one_stays(
    door: Door, database: Database, elsewhere: Start, first: Any, second: Any
) -> None:
    there = await elsewhere(database.app_url)
    pairs = await asyncio.gather(*(account_with(door, 2) for _ in range(30)))
    ours = [ended(first, by=one, whom=other) for one, other in pairs]
    theirs = [ended(second, by=other, whom=one) for one, other in pairs]
    there.send([(each, None) for each in theirs])
    answers = await asyncio.gather(*(door.execute(each) for each in ours), return_exceptions=True)
    for (one, _), here, away in zip(pairs, answers, await there.hear(), strict=True):
        # The other caller was gone, had lost administrator rights, or would have been the last administrator.
        assert isinstance(here, Outcome) != isinstance(away, Outcome)
        assert await administrators(database, one.account) == 1


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end[0].__name__)
async def test_removing_the_last_administrator_waits_for_a_running_removal(
    door: Door, database: Database, owner: Connection, elsewhere: Start, end: Any
) -> None:
    one, other = await account_with(door, 2)
    there = await elsewhere(database.app_url, still_after="append")  # written but not yet committed
    there.send([(ended(end, by=one, whom=one), None)])
    assert await there.hear() == "reached"
    asked = asyncio.create_task(door.execute(ended(end, by=other, whom=other)))
    async with asyncio.timeout(30):
        while not asked.done() and not await owner.fetchval(WAITING):  # noqa: ASYNC110 - as Postgres is
            await asyncio.sleep(0.01)
    assert not asked.done() or isinstance(asked.exception(), Busy)  # a waiting command gives up after a second
    await there.kill()  # its transaction is rolled back
    (answer,) = await asyncio.gather(asked, return_exceptions=True)
    if isinstance(answer, Busy):
        await door.execute(ended(end, by=other, whom=other))
    assert await administrators(database, one.account) == 1


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end[0].__name__)
async def test_of_many_administrators_who_leave_at_once_in_two_processes_one_stays(
    door: Door, database: Database, elsewhere: Start, end: Any
) -> None:
    people = await account_with(door, 8)
    leaving = [ended(end, by=each, whom=each) for each in people]
    there = await elsewhere(database.app_url)
    there.send([(each, None) for each in leaving[1::2]])
    here = await asyncio.gather(*(door.execute(each) for each in leaving[::2]), return_exceptions=True)
    answers = [*here, *await there.hear()]
    assert sum(isinstance(answer, Outcome) for answer in answers) == 7
    assert [type(answer) for answer in answers if not isinstance(answer, Outcome)] == [LastAdministrator]
    assert await administrators(database, people[0].account) == 1


async def test_of_many_users_added_at_once_with_one_address_one_is_added(
    door: Door, database: Database, elsewhere: Start
) -> None:
    (boss,) = await account_with(door, 1)
    taking: list[Request] = [
        user(boss.account, by=asking(boss), email=email) for email in ("race@example.org", "RACE@example.org") * 4
    ]
    there = await elsewhere(database.app_url)
    here = asyncio.gather(*(door.execute(each) for each in taking[::2]), return_exceptions=True)
    away = await there.ask([(each, None) for each in taking[1::2]])
    answers = [*await here, *away]
    assert sum(isinstance(answer, Outcome) for answer in answers) == 1
    assert {type(answer) for answer in answers if not isinstance(answer, Outcome)} == {EmailTaken}


async def test_of_many_users_who_change_to_one_address_at_once_one_gets_it(
    door: Door, database: Database, elsewhere: Start
) -> None:
    boss, *others = await account_with(door, 7)
    (stranger,) = await account_with(door, 1)
    taking: list[Request] = [
        UpdateUser(
            account=each.account, id=each.id, by=asking(boss), email=f"{'race' if n % 2 else 'RACE'}@example.org"
        )
        for n, each in enumerate(others)
    ]
    there = await elsewhere(database.app_url)
    here = asyncio.gather(*(door.execute(each) for each in taking[::2]), return_exceptions=True)
    away = await there.ask([(each, None) for each in taking[1::2]])
    answers = [*await here, *away]
    assert sum(isinstance(answer, Outcome) for answer in answers) == 1
    assert {type(answer) for answer in answers if not isinstance(answer, Outcome)} == {EmailTaken}
    elsewhere_too = UpdateUser(account=stranger.account, id=stranger.id, by=asking(stranger), email="race@example.org")
    assert isinstance(await door.execute(elsewhere_too), Outcome)


async def test_of_many_uses_of_one_recovery_code_at_once_one_succeeds(
    door: Door, database: Database, elsewhere: Start
) -> None:
    (boss,) = await account_with(door, 1)
    about: dict[str, Any] = {"account": boss.account, "id": boss.id, "by": asking(boss)}
    digests = tuple(bytes([n]) * 32 for n in range(10))
    await door.execute(EnrolTotp(**about, encrypted_seed=b"s", last_step=1, recovery_digests=digests, pepper_id=1))
    there = await elsewhere(database.app_url)
    spend: Request = UseRecoveryCode(**about, index=4, digest=digests[4])
    here = asyncio.gather(*(door.execute(spend) for _ in range(4)), return_exceptions=True)
    away = await there.ask([(spend, None)] * 4)
    answers = [*await here, *away]
    assert sum(isinstance(answer, Outcome) for answer in answers) == 1
    assert {type(answer) for answer in answers if not isinstance(answer, Outcome)} == {NotFound}


async def test_a_recovery_code_does_not_spend_the_one_that_replaced_it(door: Door, owner: Connection) -> None:
    (boss,) = await account_with(door, 1)
    about: dict[str, Any] = {"account": boss.account, "id": boss.id, "by": asking(boss)}
    old, new = (tuple(bytes([n + many]) * 32 for n in range(10)) for many in (0, 10))
    enrol = [
        EnrolTotp(**about, encrypted_seed=b"s", last_step=1, recovery_digests=each, pepper_id=1) for each in (old, new)
    ]
    spend_old, spend_new = (UseRecoveryCode(**about, index=4, digest=each[4]) for each in (old, new))
    await door.execute(enrol[0])
    # In one batch with the enrolment that replaces the code, and with a neighbour that is not affected.
    together: list[Request] = [enrol[1], spend_old, user(boss.account)]
    answers = await asyncio.gather(*(door.execute(each) for each in together), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Outcome, NotFound, Outcome]
    left = "select array_agg(digest order by place) from recovery_code where user_id = $1"
    assert await owner.fetchval(left, boss.id) == list(new)
    with pytest.raises(NotFound):
        await door.execute(spend_old)
    state = (await door.execute(spend_new)).state
    assert isinstance(state, User)
    assert state.recovery_codes == (0, 1, 2, 3, 5, 6, 7, 8, 9)
    assert await owner.fetchval(left, boss.id) == [*new[:4], *new[5:]]


async def test_a_user_disabled_meanwhile_is_refused(door: Door) -> None:
    one, other = await account_with(door, 2)
    await door.execute(DisableUser(account=one.account, id=other.id, by=asking(one), reason="x"))
    for command in (
        EnableUser(account=one.account, id=other.id, by=asking(other)),
        DisableUser(account=one.account, id=one.id, by=asking(other), reason="x"),
        user(one.account, by=asking(other)),
    ):
        with pytest.raises(CallerGone):
            await door.execute(command)
    enabled = (await door.execute(EnableUser(account=one.account, id=other.id, by=asking(one)))).state
    assert isinstance(enabled, User)
    assert enabled.status == "active"


async def test_a_user_removed_at_the_same_moment_owns_no_later_token(
    door: Door, database: Database, elsewhere: Start
) -> None:
    there = await elsewhere(database.app_url)
    boss, *others = await account_with(door, 21)
    removing: list[Request] = [ended((RemoveUser, {"reason": "x"}), by=boss, whom=each) for each in others]
    issuing = [create(account=boss.account, by=asking(boss), owner=owner_of(each.id)) for each in others]
    there.send([(each, None) for each in removing[::2]])
    both = [*removing[1::2], *issuing]  # the other users are removed in batches that issue at the same time
    answers = (await asyncio.gather(*(door.execute(each) for each in both), return_exceptions=True))[-len(issuing) :]
    await there.hear()
    assert {type(answer) for answer in answers} <= {Outcome, UserGone}
    again = [replace(each, id=uuids.uuid7()) for each in issuing]
    late = await asyncio.gather(*(door.execute(each) for each in again), return_exceptions=True)
    assert {type(answer) for answer in late} == {UserGone}


async def test_an_owner_is_a_user_of_the_account_and_may_be_added_with_the_token(door: Door) -> None:
    (boss,), (stranger,) = await account_with(door, 1), await account_with(door, 1)
    for nobody in (stranger.id, boss.account, uuids.uuid7()):
        with pytest.raises(UnknownUser):
            await door.execute(create(account=boss.account, by=asking(boss), owner=owner_of(nobody)))
    new = user(boss.account, by=asking(boss))
    own = create(account=boss.account, by=asking(boss), owner=owner_of(new.id))
    assert len((await door.execute(AllOrNothing((new, own)))).facts) == 2
    gone = RemoveUser(account=boss.account, id=new.id, by=asking(boss), reason="x")
    with pytest.raises(UserGone):
        await door.execute(AllOrNothing((gone, replace(own, id=uuids.uuid7()))))
    # Neither of them left a trace.
    await door.execute(create(account=boss.account, by=asking(boss), owner=owner_of(new.id)))


async def administrators(database: Database, account: UUID) -> int:
    connection = await asyncpg.connect(database.owner_url)
    try:
        found: int = await connection.fetchval(
            "select count(*) from subject where account_id = $1 and kind = 'user' and status = 'active'"
            " and details::json ->> 'role' = 'administrator'",
            account,
        )
        return found
    finally:
        await connection.close()


async def test_a_user_whose_password_was_replaced_meanwhile_is_refused(door: Door) -> None:
    admin, person = await account_with(door, 2)
    thief = replace(asking(person), generation=1)

    def given(by: Principal) -> ChangePassword:
        return ChangePassword(account=person.account, id=person.id, by=by, password_hash="$argon2id$other")

    reset, *others = await asyncio.gather(
        door.execute(given(asking(admin))), *(door.execute(given(thief)) for _ in range(5)), return_exceptions=True
    )
    assert isinstance(reset, Outcome)
    assert all(isinstance(each, CallerGone) for each in others), "also those that share its transaction"
    for command in (
        given(thief),
        user(person.account, by=thief),
        EnableUser(account=person.account, id=admin.id, by=thief),
    ):
        with pytest.raises(CallerGone):
            await door.execute(command)
    await door.execute(given(replace(thief, generation=2)))
