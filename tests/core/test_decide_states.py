"""Which command is allowed in which state: the table of the design, row by row, before and after a sweep."""

from itertools import product

import pytest

from core.histories import (
    ANOTHER,
    CREATED,
    ENDS,
    ITSELF,
    JTI,
    LATER,
    NEXT,
    NOON,
    RESUMED,
    REVOKED,
    SECRET,
    SUSPENDED,
    command_of,
    given,
)
from counterfoil.core import refusals
from counterfoil.core.subjects.token import commands
from counterfoil.core.subjects.token.acceptance import refusal_for, status_at
from counterfoil.core.subjects.token.commands import (
    AnnounceGrace,
    ConfirmRotation,
    Create,
    Erase,
    Exchange,
    ExtendGrace,
    Renew,
    Resume,
    Revoke,
    Rotate,
    Suspend,
    Sweep,
    TokenCommand,
    Update,
)
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.events import Expired

STATES = {
    "active": ((CREATED,), NOON),
    "resumed": ((CREATED, SUSPENDED, RESUMED), NOON),
    "suspended": ((CREATED, SUSPENDED), NOON),
    "expired": ((CREATED,), ENDS),
    "expired and swept": ((CREATED, (LATER, Expired(expires_at=ENDS))), LATER),
    "expired while suspended": ((CREATED, SUSPENDED), LATER),
    "revoked": ((CREATED, REVOKED), NOON),
    "revoked, and its time has passed": ((CREATED, REVOKED), LATER),
}

COMMANDS: dict[str, TokenCommand] = {
    "exchange": command_of(Exchange, generation=1, jti=JTI, lifetime_seconds=3600),
    "update": command_of(Update, name="weekly"),
    "renew": command_of(Renew, lifetime="90d"),
    "renew by another token": command_of(Renew, lifetime="90d", by=ANOTHER),
    "renew by itself": command_of(Renew, lifetime="1d", by=ITSELF),
    "rotate": command_of(Rotate, secret=NEXT, grace_seconds=60),
    "rotate with a new life": command_of(Rotate, secret=NEXT, grace_seconds=0, lifetime="90d"),
    "rotate with a new life by itself": command_of(Rotate, secret=NEXT, grace_seconds=0, lifetime="1d", by=ITSELF),
    "confirm without a rotation": command_of(ConfirmRotation),
    "extend without a grace": command_of(ExtendGrace, grace_seconds=60),
    "suspend": command_of(Suspend, reason="under review"),
    "resume": command_of(Resume),
    "revoke": command_of(Revoke, reason="leaked"),
    "erase": command_of(Erase),
}

# Columns: active, suspended, expired, revoked. A cell is a refusal or the events that follow; "" means no event.
TABLE = """
exchange                          Exchanged         TokenSuspended    TokenExpired     TokenRevoked
update                            Updated           Updated           Updated          AlreadyRevoked
renew                             Renewed           Renewed           Renewed          AlreadyRevoked
renew by another token            Renewed           Renewed           Renewed          AlreadyRevoked
renew by itself                   RenewsItself      RenewsItself      RenewsItself     AlreadyRevoked
rotate                            Rotated           Rotated           LifetimeRequired AlreadyRevoked
rotate with a new life            LifetimeUnwanted  LifetimeUnwanted  Renewed+Rotated  AlreadyRevoked
rotate with a new life by itself  LifetimeUnwanted  LifetimeUnwanted  RenewsItself     AlreadyRevoked
confirm without a rotation        PreviousSecretEnded PreviousSecretEnded PreviousSecretEnded AlreadyRevoked
extend without a grace            PreviousSecretEnded PreviousSecretEnded PreviousSecretEnded AlreadyRevoked
suspend                           Suspended         nothing           Suspended        AlreadyRevoked
resume                            nothing           Resumed           nothing          AlreadyRevoked
revoke                            Revoked           Revoked           Revoked          nothing
erase                             Erased            Erased            Erased           Erased
"""
COLUMNS = ("active", "suspended", "expired", "revoked")
ROWS = {line[:34].strip(): dict(zip(COLUMNS, line[34:].split(), strict=True)) for line in TABLE.strip().splitlines()}


def expected(state: str, command: str) -> str:
    if state == "expired while suspended":  # it may still be resumed and suspended; otherwise it is as expired
        return {"suspend": "nothing", "resume": "Resumed"}.get(command, ROWS[command]["expired"])
    return ROWS[command][{"resumed": "active"}.get(state, state.split(maxsplit=1)[0].rstrip(","))]


@pytest.mark.parametrize(("command", "state"), list(product(COMMANDS, STATES)))
def test_each_command_in_each_state_follows_the_table(command: str, state: str) -> None:
    history, at = STATES[state]
    answer = expected(state, command)
    if hasattr(refusals, answer):
        with pytest.raises(getattr(refusals, answer)):
            given(*history).when(COMMANDS[command], at)
        return
    events = given(*history).when(COMMANDS[command], at)
    assert "+".join(type(event).__name__ for event in events) == answer.removesuffix("nothing")


def test_every_command_is_in_the_table() -> None:
    known = {command for command in vars(commands).values() if isinstance(command, type)}
    askable = {command for command in known if issubclass(command, TokenCommand)} - {TokenCommand}
    assert {type(command) for command in COMMANDS.values()} == askable - {Create, Sweep, AnnounceGrace}
    assert set(ROWS) == set(COMMANDS)


@pytest.mark.parametrize("state", STATES)
def test_verification_follows_the_same_table_as_exchange(state: str) -> None:
    history, at = STATES[state]
    answer = expected(state, "exchange")
    found = refusal_for(given(*history).token, 1, at)
    assert (found is None) if answer == "Exchanged" else type(found).__name__ == answer


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("active", "active"),
        ("suspended", "suspended"),
        ("expired", "expired"),
        ("expired while suspended", "expired"),
        ("revoked, and its time has passed", "revoked"),
    ],
)
def test_the_status_follows_from_commands_and_time(state: str, shown: str) -> None:
    history, at = STATES[state]
    assert status_at(given(*history).token, at) == shown


@pytest.mark.parametrize("state", ["expired", "expired and swept"])
def test_renewing_an_expired_token_makes_it_active_again(state: str) -> None:
    history, at = STATES[state]
    assert status_at(given(*history).then(COMMANDS["renew"], at), at) == "active"


@pytest.mark.parametrize("command", ["renew", "rotate with a new life"])
def test_renewing_a_suspended_token_keeps_it_suspended(command: str) -> None:
    history, at = STATES["expired while suspended"]
    assert status_at(given(*history).then(COMMANDS[command], at), at) == "suspended"


def test_resuming_an_expired_suspended_token_does_not_revive_it() -> None:
    assert status_at(given(CREATED, SUSPENDED).then(command_of(Resume), LATER), LATER) == "expired"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_to_a_missing_token_is_refused(command: str) -> None:
    with pytest.raises(refusals.NotFound):
        given().when(COMMANDS[command])


def test_a_token_is_created_once() -> None:
    again = command_of(Create, number=8, owner=CREATED.owner, name="again", secret=SECRET)
    with pytest.raises(refusals.AlreadyExists):
        given(CREATED).when(again)


@pytest.mark.parametrize("state", ["suspended", "revoked"])
def test_the_reason_is_stored_with_the_status(state: str) -> None:
    history, at = STATES[state]
    token = given(*history).token
    assert token.reason == {"suspended": "under review", "revoked": "leaked"}[state]
    assert given(*history).then(COMMANDS["erase"], at).reason is None


def test_an_unknown_command_is_a_bug_and_not_a_refusal() -> None:
    class Bless(TokenCommand, frozen=True, kw_only=True): ...

    with pytest.raises(TypeError, match="Bless"):
        decide(given(CREATED).token, command_of(Bless), NOON)
