"""Principals, times and a given-when-then helper for the tests of the core."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import TYPE_OF
from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.secret import Minted
from counterfoil.core.subjects.token.acceptance import ALONE, Context
from counterfoil.core.subjects.token.commands import TokenCommand
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.events import Created, Resumed, Revoked, Rotated, Suspended
from counterfoil.core.subjects.token.state import Token, evolve

ACCOUNT, TOKEN, JTI = UUID(int=0xACC), UUID(int=0x70), UUID(int=0xB)

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
BORN = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON = BORN + 10 * DAY
ENDS = BORN + 90 * DAY
LATER = BORN + 100 * DAY

ADMIN = Principal(actor=Actor("user", UUID(int=0xAD)), account=ACCOUNT, scopes=("all",))
ITSELF = Principal(actor=Actor("token", TOKEN), account=ACCOUNT, scopes=("tokens.*",), expires_at=ENDS)
ANOTHER = Principal(actor=Actor("token", UUID(int=0x71)), account=ACCOUNT, scopes=("tokens.*", "mail.send"))

SECRET = Minted(b"\x01" * 32, 1, "cfl_app_Ab12")
NEXT = Minted(b"\x02" * 32, 1, "cfl_app_Cd34")
THRESHOLDS = (30 * 86_400, 7 * 86_400, 86_400)

CREATED = Created(
    number=7, owner=Owner("application", "billing"), scopes=("tokens.read",), lifetime="90d", expires_at=ENDS,
    thresholds=THRESHOLDS, hint=SECRET.hint, private=Private(name="nightly", description="", metadata={}),
)  # fmt: skip
SUSPENDED, RESUMED = Suspended(private=Private(reason="under review")), Resumed()
REVOKED = Revoked(private=Private(reason="leaked"))

CommandType = TypeVar("CommandType", bound=TokenCommand)


class Given:
    """A token's history. A plain event happened at the token's creation; a pair states its time."""

    def __init__(self, *history: Event | tuple[datetime, Event]) -> None:
        self.state: Token | None = None
        for moment in history:
            at, event = moment if isinstance(moment, tuple) else (BORN, moment)
            self.state = evolve(self.state, fact(event, version=self.token.version + 1 if self.state else 1, at=at))

    @property
    def token(self) -> Token:
        assert self.state is not None
        return self.state

    def when(self, command: TokenCommand, at: datetime = NOON, context: Context = ALONE) -> list[Event]:
        return decide(self.state, command, at, context)

    def then(self, command: TokenCommand, at: datetime = NOON) -> Token:
        """The state after the events of the command."""
        state = self.state
        for event in self.when(command, at):
            state = evolve(state, fact(event, version=state.version + 1 if state else 1, at=at, by=command.by.actor))
        assert state is not None
        return state


def given(*history: Event | tuple[datetime, Event]) -> Given:
    return Given(*history)


def command_of(command: type[CommandType], *, by: Principal = ADMIN, **fields: Any) -> CommandType:
    return command(account=ACCOUNT, id=TOKEN, by=by, **fields)


def fact(event: Event, *, version: int, at: datetime = BORN, by: Actor = ADMIN.actor, of: UUID = TOKEN) -> Fact:
    subject = Subject("token", of)
    return Fact(account=ACCOUNT, subject=subject, version=version, type=TYPE_OF[type(event)], at=at, by=by, event=event)


def holding(*scopes: str, expires_at: datetime | None = None) -> Principal:
    """A principal of another token that holds these scopes for this long."""
    return Principal(actor=ANOTHER.actor, account=ACCOUNT, scopes=scopes, expires_at=expires_at)


def rotated(generation: int, until: datetime | None) -> Rotated:
    return Rotated(generation=generation, previous_until=until, hint=NEXT.hint)
