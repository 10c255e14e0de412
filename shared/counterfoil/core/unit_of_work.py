"""Many commands against the locked rows: decide each, evolve, and collect the changes to write.

Pure: the caller draws the salts of private parts. Commands for one subject are folded in turn; a refusal leaves no
trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal, assert_never
from uuid import UUID

import msgspec
from msgspec import structs

from counterfoil.core import codec, subjects
from counterfoil.core.caller_recheck import TokenCaller, UserCaller, maker_of
from counterfoil.core.codec import Sealed
from counterfoil.core.events import Event, Fact, Subject
from counterfoil.core.owners import spelt
from counterfoil.core.principal import SYSTEM, Actor, Owner, Principal
from counterfoil.core.refusals import AlreadyAccepted, Busy, Refusal, SecretTaken, UnknownSecret
from counterfoil.core.replays import refuse_replay
from counterfoil.core.secret import Minted
from counterfoil.core.subjects.subject import Around, SubjectCommand, SubjectState
from counterfoil.core.subjects.token import decide
from counterfoil.core.subjects.token import state as token
from counterfoil.core.subjects.token.commands import Create, Exchange, ExchangeSecret, Revoke, Rotate, TokenCommand
from counterfoil.core.subjects.token.state import ALONE, Context, Room, Token, room_after
from counterfoil.core.subjects.user import User
from counterfoil.core.subjects.user_commands import lessens_administrators
from counterfoil.core.trust import ends_of


class AllOrNothing(msgspec.Struct, frozen=True):
    """Commands that are carried out all or not at all: one refusal refuses them all.

    What came of it is the subject of the first, as all of them left it.
    """

    commands: tuple[TokenCommand | SubjectCommand, ...]

    @property
    def by(self) -> Principal:
        """Who asks."""
        return self.commands[0].by


Command = TokenCommand | ExchangeSecret | SubjectCommand | AllOrNothing
Key = tuple[UUID, UUID]
"""Account and subject."""
RETRY: Final = "again"


@dataclass(slots=True)
class Row:
    """A subject's state (None: it does not exist) and the leaf hash of its last entry."""

    state: Token | SubjectState | None
    leaf: bytes | None


@dataclass(slots=True)
class Locked:
    """What may be decided on: rows that are locked for us; `held` are locked by others.

    `opened` says which token and generation a digest opens, `clock` is the database's, `around` what surrounds a token
    that is exchanged. Whoever asks, and whoever is to own a token, is known by `callers`, as they are now, and what
    surrounds all tokens of an account by `accounts`. `accepted` are JWTs that opened a token and may do so once.
    `descending` are tokens that make nothing for an owner while a bulk revocation ends what their own makers made.
    """

    clock: datetime
    rows: dict[Key, Row] = field(default_factory=dict)
    held: set[Key] = field(default_factory=set)
    opened: dict[bytes, tuple[UUID, UUID, int]] = field(default_factory=dict)
    context: dict[Key, Context] = field(default_factory=dict)
    accounts: dict[UUID, Context] = field(default_factory=dict)
    callers: dict[Key, CallerState] = field(default_factory=dict)
    descending: set[tuple[Key, Owner]] = field(default_factory=set)
    accepted: set[tuple[UUID, UUID, bytes]] = field(default_factory=set)
    administrators: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    emails: dict[UUID, dict[str, frozenset[UUID]]] = field(default_factory=dict)
    """By account."""
    rooms: dict[tuple[UUID, Owner], Room] = field(default_factory=dict)
    """How many tokens the owners have whose quota limits that, where they may come to have more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command came to: the state after it, the facts it added (none: nothing to do), and when.

    `around` is what surrounded the token when it was decided.
    `reply` is the answer kept under an Idempotency-Key, if one was given; `replayed` says it is from an earlier time.
    """

    state: Token | SubjectState | None
    facts: tuple[Fact, ...]
    at: datetime
    context: Context = ALONE
    reply: bytes | None = None
    replayed: bool = False

    @property
    def token(self) -> Token:
        """The token's state after a token command."""
        if not isinstance(self.state, Token):
            raise TypeError("this outcome is not about a token")
        return self.state

    @property
    def subject(self) -> UUID:
        """The id of what the command was about."""
        if self.state is None:
            raise TypeError("this outcome is about nothing")
        return self.state.id


CallerState = TokenCaller | UserCaller
"""How one who asks, or is to own a token, stands at the moment when it is decided."""
Answer = Outcome | Refusal | Literal["again"]


@dataclass(slots=True)
class Changes:
    """What to write: facts with their bytes, in order; the keys of changed rows, and whether only by exchanges."""

    facts: list[tuple[Fact, Sealed]] = field(default_factory=list)
    rows: dict[Key, bool] = field(default_factory=dict)
    secrets: list[tuple[Token, Minted]] = field(default_factory=list)
    small: list[tuple[SubjectCommand, Key]] = field(default_factory=list)
    accepted: list[tuple[UUID, UUID, bytes, float]] = field(default_factory=list)
    """Account, token, and a JWT's digest and end."""


class UnitOfWork:
    """The rows of one batch, and what became of them so far."""

    __slots__ = ("_salt", "taken", "writes")

    def __init__(self, taken: Locked, *, salt: Callable[[int], bytes]) -> None:
        self._salt = salt
        self.taken = taken
        self.writes = Changes()

    def answer(self, command: Command) -> Answer:
        """Carry out one more command; `again` if its row is held by somebody else."""
        if isinstance(command, AllOrNothing):
            return self._all_or_none(command)
        if isinstance(command, ExchangeSecret):
            found = self._opened(command)
            if not isinstance(found, Exchange):
                return UnknownSecret() if found is None else found
            command = found
        key = key_of(command)
        if key in self.taken.held or (_guarded(command) and (command.account, command.account) in self.taken.held):
            return RETRY
        row = self.taken.rows[key]
        # Time never runs backwards within a subject, even where the database's clock did.
        at = self.taken.clock if row.state is None else max(self.taken.clock, row.state.at)
        try:
            self._refuse_less(command)
            self._refuse_descending(command)
            if (digest := _once(command, row.state)) is not None and (*key, digest) in self.taken.accepted:
                return AlreadyAccepted()  # before it is counted as a use of the token
            events = self._decided(row.state, command, at)
            if isinstance(command, Create) and not self.taken.opened.keys().isdisjoint(command.imported_digests):
                return SecretTaken()
            changed, facts = _folded(row, command, events, at, self._salt)
            self._refuse_full(row.state, changed.state)
        except Refusal as refusal:
            return refusal
        self._keep(key, changed, command, facts)
        context = self._around(command) if isinstance(command, TokenCommand) else ALONE
        return Outcome(changed.state, tuple(fact for fact, _ in facts), at, context)

    def replay(self, command: TokenCommand | SubjectCommand, outcome: Outcome) -> Answer:
        """Return what came of a command earlier, with its secret, if its caller could be shown that now."""
        key = key_of(command)
        if key in self.taken.held:
            return RETRY
        state = self.taken.rows[key].state
        context = self._around(command) if isinstance(command, TokenCommand) else ALONE
        try:
            self._refuse_less(command)
            refuse_replay(command, state, self.taken.clock, context)
        except Refusal as refusal:
            return refusal
        return outcome

    def _all_or_none(self, together: AllOrNothing) -> Answer:
        taken, writes = self.taken, self.writes
        self.taken = replace(
            taken,
            rows=dict(taken.rows),
            opened=dict(taken.opened),
            administrators=dict(taken.administrators),
            rooms=dict(taken.rooms),
        )
        self.writes = Changes(list(writes.facts), dict(writes.rows), list(writes.secrets), list(writes.small))
        outcomes: list[Outcome] = []
        for command in together.commands:
            answer = self.answer(command)
            if not isinstance(answer, Outcome):
                self.taken, self.writes = taken, writes
                return answer
            outcomes.append(answer)
        about = zip(map(key_of, together.commands), outcomes, strict=True)
        last = [outcome for key, outcome in about if key == key_of(together.commands[0])][-1]
        return replace(last, facts=tuple(fact for each in outcomes for fact in each.facts))

    def _opened(self, command: ExchangeSecret) -> Exchange | Literal["again"] | None:
        found = [self.taken.opened[digest] for digest in command.digests if digest in self.taken.opened]
        if not found:
            return None
        if any(key[:2] in self.taken.held for key in found):
            return RETRY
        # As look-ups do: a secret from elsewhere that opens two tokens belongs to the older one.
        account, token_id, generation = min(found, key=self._age)
        if command.client not in (None, token_id):
            return None
        itself = Principal(actor=Actor("token", token_id), account=account, scopes=())
        return Exchange(
            account=account, token_id=token_id, generation=generation, jti=command.jti,
            by=command.actor or itself, actors=(command.actor.actor.id,) if command.actor else (),
            lifetime_seconds=command.lifetime_seconds, audience=command.audience, scopes=command.scopes,
            address=command.address, counted=command.counted,
        )  # fmt: skip

    def _age(self, opened: tuple[UUID, UUID, int]) -> datetime:
        state = self.taken.rows[opened[:2]].state
        return state.created_at if isinstance(state, Token) else self.taken.clock

    def _refuse_less(self, command: TokenCommand | SubjectCommand) -> None:
        key = (command.by.account, command.by.actor.id)
        caller = self.taken.callers.get(key)
        if (row := self.taken.rows.get(key)) is not None and isinstance(row.state, User):
            caller = UserCaller(row.state)  # whose row is held: what this very batch made of them counts
        if caller is not None and not _needs_no_recheck(command):
            caller.refuse_reduced(command.by, self.taken.clock)

    def _refuse_descending(self, command: TokenCommand | SubjectCommand) -> None:
        """Raise Busy for a caller that makes one more child while a bulk revocation ends its makers and children.

        Else somebody who mints from child to child could keep ahead of the bulk revocation for ever.
        """
        if isinstance(command, Create) and ((command.account, command.by.actor.id), spelt(command.owner)) in (
            self.taken.descending
        ):
            raise Busy("What made this token is being revoked with all that it made; try again in a moment.")

    def _decided(
        self, state: Token | SubjectState | None, command: TokenCommand | SubjectCommand, at: datetime
    ) -> list[Event]:
        if isinstance(command, SubjectCommand):
            administrators = self.taken.administrators.get(command.account, frozenset())
            emails = self.taken.emails.get(command.account, {})
            context = Around(at=at, administrators=administrators, emails=emails)
            return subjects.decide(state if isinstance(state, SubjectState) else None, command, context)
        token = state if isinstance(state, Token) else None
        return decide.decide(token, command, at, self._around(command))

    def _around(self, command: TokenCommand) -> Context:
        """Return what surrounds a token; what its account says was read last, after the rows were held."""
        key = key_of(command)
        context = self.taken.context.get(key, ALONE)
        if isinstance(command, Create) and (owner := self._owner(command)) is not None:
            context = structs.replace(context, owner=owner.status, owner_holds=owner.held)
        state = self.taken.rows[key].state if isinstance(command, Exchange) else None
        if isinstance(state, Token) and state.trust_by is not None:
            context = structs.replace(context, maker=self._maker(state.account, state.trust_by))
        account = self.taken.accounts.get(command.account)
        return context if account is None else structs.replace(context, policy=account.policy, epoch=account.epoch)

    def _maker(self, account: UUID, actor: Actor) -> Principal | None:
        """Return who stated a token's trust, as they stand now; what this very batch made of a user counts."""
        if actor.kind == "system":
            return SYSTEM
        caller = self.taken.callers.get((account, actor.id))
        if (row := self.taken.rows.get((account, actor.id))) is not None and isinstance(row.state, User):
            caller = UserCaller(row.state)
        return maker_of(caller, Principal(actor=actor, account=account, scopes=()), self.taken.clock)

    def _owner(self, command: Create) -> User | None:
        """Return the user who is to own a token; what this very batch made of them counts."""
        if command.owner.user is None:
            return None
        key = (command.account, command.owner.user)
        if (row := self.taken.rows.get(key)) is not None and isinstance(row.state, User):
            return row.state
        found = self.taken.callers.get(key)
        return found.user if isinstance(found, UserCaller) else None

    def _keep(self, key: Key, row: Row, command: Command, facts: list[tuple[Fact, Sealed]]) -> None:
        if not facts:
            return
        self.taken.rows[key] = row
        self.writes.facts += facts
        if isinstance(command, SubjectCommand):
            self.writes.small.append((command, key))
            if isinstance(row.state, User) and row.state.account in self.taken.administrators:
                self._count(row.state)
            return
        self.writes.rows[key] = isinstance(command, Exchange) and self.writes.rows.get(key, True)
        if (digest := _once(command, row.state)) is not None and isinstance(command, Exchange) and command.assertion:
            self.taken.accepted.add((*key, digest))
            self.writes.accepted.append((*key, digest, ends_of(command.assertion.claims)))
        if isinstance(command, Create | Rotate) and command.secret is not None and isinstance(row.state, Token):
            self.writes.secrets.append((row.state, command.secret))
        if isinstance(command, Create):
            self.taken.opened |= dict.fromkeys(command.imported_digests, (*key, 1))

    def _refuse_full(self, before: Token | SubjectState | None, after: Token | SubjectState | None) -> None:
        """Count a token of an owner who may have so many alone, or raise OwnerQuotaExceeded."""
        if isinstance(after, Token) and (room := self.taken.rooms.get((after.account, after.owner))) is not None:
            was = before if isinstance(before, Token) else None
            self.taken.rooms[after.account, after.owner] = room_after(room, was, after)

    def _count(self, user: User) -> None:
        others = self.taken.administrators[user.account] - {user.id}
        counts = user.role == "administrator" and user.status == "active"
        self.taken.administrators[user.account] = others | {user.id} if counts else others


def key_of(command: TokenCommand | SubjectCommand) -> Key:
    """Return the account and the subject that a command is about."""
    return command.account, command.token_id if isinstance(command, TokenCommand) else command.id


def _once(command: Command, state: Token | SubjectState | None) -> bytes | None:
    """Return what a JWT is remembered by that a token accepts once."""
    if not isinstance(command, Exchange) or command.assertion is None or not isinstance(state, Token):
        return None
    return command.assertion.digest if state.trust is not None and state.trust.once else None


def _needs_no_recheck(command: TokenCommand | SubjectCommand) -> bool:
    """Say whether a command is decided without looking at its caller again.

    An exchange is decided by the token's own row (somebody who acts for its owner is asked like any caller), and an
    accepted bulk revocation goes on: it may well end the very token that asked for it.
    """
    if isinstance(command, Exchange):
        return not command.actors
    return isinstance(command, Revoke) and command.bulk_revocation is not None


def _guarded(command: TokenCommand | SubjectCommand) -> bool:
    """Say whether the account's row is taken too: two last administrators must not end each other at once."""
    return isinstance(command, SubjectCommand) and lessens_administrators(command)


def _folded(
    row: Row,
    command: TokenCommand | SubjectCommand,
    events: list[Event],
    at: datetime,
    salt: Callable[[int], bytes],
) -> tuple[Row, list[tuple[Fact, Sealed]]]:
    kind = "token" if isinstance(command, TokenCommand) else subjects.KIND_OF[type(command)]
    subject = Subject(kind, command.token_id if isinstance(command, TokenCommand) else command.id)
    state, leaf, facts = row.state, row.leaf, []
    for event in events:
        fact = Fact(
            account=command.account, subject=subject, version=state.version + 1 if state else 1,
            type=subjects.TYPE_OF[type(event)], at=at, by=command.by.actor, event=event,
        )  # fmt: skip
        sealed = codec.seal(fact, prev=leaf, salt=salt(codec.SALT_LENGTH) if event.private else b"")
        state, leaf = evolve(state, fact), sealed.leaf
        facts.append((fact, sealed))
    return Row(state, leaf), facts


def evolve(state: Token | SubjectState | None, fact: Fact) -> Token | SubjectState:
    """Return the state of whatever subject a fact is about, after it."""
    match state:
        case Token():
            return token.evolve(state, fact)
        case SubjectState():
            return subjects.evolve(state, fact)
        case None:
            return token.evolve(None, fact) if fact.subject.kind == "token" else subjects.evolve(None, fact)
    assert_never(state)
