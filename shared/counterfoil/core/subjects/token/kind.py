"""The token as a kind of subject, and the reads of its decisions besides its own row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from msgspec import structs

from counterfoil.core.caller_recheck import TokenCaller, UserCaller, maker_of
from counterfoil.core.events import Event
from counterfoil.core.locked import Locked
from counterfoil.core.owners import spelt
from counterfoil.core.principal import SYSTEM, Actor, Owner, Principal, refuse_beyond_lifetime
from counterfoil.core.refusals import (
    AlreadyAccepted,
    Busy,
    NotFound,
    SecretNoLongerAvailable,
    SecretTaken,
    TokenSuspended,
    UnknownSecret,
)
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import Command, DecisionContext, Key, SubjectState, Unresolved
from counterfoil.core.subjects.token.acceptance import ALONE, Context, good_until, refusal_for
from counterfoil.core.subjects.token.commands import COMMANDS, Create, Exchange, ExchangeSecret, TokenCommand
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.events import TOKEN_EVENTS
from counterfoil.core.subjects.token.live_tokens import Room, room_after
from counterfoil.core.subjects.token.secret_uses import SecretUses
from counterfoil.core.subjects.token.state import Token, evolve, refuse_beyond_token
from counterfoil.core.subjects.user import User


@dataclass(slots=True)
class TokenReads:
    """The reads on which decisions about tokens depend.

    `opened` is the token and generation that a digest opens, `context` the context of a token, `accounts` the part of
    it that is common to an account. `revoking_children` are the accounts where a bulk revocation revokes tokens with
    their children, `revoked_with_children` the tokens that may descend from one of those, each with the owner of what
    it would create. `accepted` are the JWTs that their token has accepted and accepts once, `rooms` the numbers of
    tokens of owners whose quota limits it, `secret_uses` the uses of a token's secrets since its rotation.
    """

    opened: dict[bytes, tuple[UUID, UUID, int]] = field(default_factory=dict)
    context: dict[Key, Context] = field(default_factory=dict)
    accounts: dict[UUID, Context] = field(default_factory=dict)
    revoking_children: frozenset[UUID] = frozenset()
    revoked_with_children: set[tuple[Key, Owner]] = field(default_factory=set)
    accepted: set[tuple[UUID, UUID, bytes]] = field(default_factory=set)
    rooms: dict[tuple[UUID, Owner], Room] = field(default_factory=dict)
    secret_uses: dict[Key, SecretUses] = field(default_factory=dict)

    def copy(self) -> TokenReads:
        return replace(self, opened=dict(self.opened), accepted=set(self.accepted), rooms=dict(self.rooms))


class TokenContext(DecisionContext, frozen=True, kw_only=True):
    """The time, and what the token's account and owner add."""

    acceptance: Context


@dataclass(frozen=True)
class TokenKind(Kind):
    """Tokens: a secret finds its row; decisions read its owner, its account, quotas and accepted JWTs."""

    def resolve(self, command: Command | Unresolved, locked: Locked) -> Command | None:
        """Return the exchange of the token that a digest opens."""
        if not isinstance(command, ExchangeSecret):
            return cast("Command", command)
        opened = locked.of(TokenReads).opened
        found = [opened[digest] for digest in command.digests if digest in opened]
        if any(key[:2] in locked.held for key in found):
            return None
        # As look-ups do: an imported secret that opens two tokens belongs to the older one.
        account, token_id, generation = min(found, key=lambda key: _age(key, locked), default=(None, None, 0))
        if account is None or token_id is None or command.client not in (None, token_id):
            raise UnknownSecret
        itself = Principal(actor=Actor("token", token_id), account=account, scopes=())
        return Exchange(
            account=account, id=token_id, generation=generation, jti=command.jti,
            by=command.actor or itself, actors=(command.actor.actor.id,) if command.actor else (),
            lifetime_seconds=command.lifetime_seconds, audience=command.audience, scopes=command.scopes,
            address=command.address, counted=command.counted,
        )  # fmt: skip

    def decide(
        self, state: SubjectState | None, command: Command, context: TokenContext, locked: Locked
    ) -> list[Event]:
        reads, token = locked.of(TokenReads), token_of(state)
        _refuse_descendant(command, reads)
        if (digest := accepted_once(command, token)) is not None and (*command.key, digest) in reads.accepted:
            raise AlreadyAccepted  # before it is counted as a use of the token
        events = decide(token, cast("TokenCommand", command), context.at, context.acceptance)
        if isinstance(command, Create) and not reads.opened.keys().isdisjoint(command.imported_digests):
            raise SecretTaken
        return events

    def admit(self, command: Command, before: SubjectState | None, after: SubjectState, locked: Locked) -> None:
        """Count live tokens of owners with a quota; remember imported digests, and JWTs that are accepted once."""
        reads, token = locked.of(TokenReads), cast("Token", after)
        if (room := reads.rooms.get((token.account, token.owner))) is not None:
            reads.rooms[token.account, token.owner] = room_after(room, token_of(before), token)
        if (digest := accepted_once(command, token_of(before))) is not None:
            reads.accepted.add((*command.key, digest))
        if isinstance(command, Create):
            reads.opened |= dict.fromkeys(command.imported_digests, (*command.key, 1))

    def context(self, command: Command, at: datetime, locked: Locked) -> TokenContext:
        """Return the context of a token; the account is read last, after the rows were locked."""
        reads = locked.of(TokenReads)
        context = reads.context.get(command.key, ALONE)
        owner = next((_user(key, locked) for key in command.users), None)
        if owner is not None:
            context = structs.replace(context, owner=owner.status, owner_holds=owner.held)
        token = token_of(locked.rows[command.key].state) if isinstance(command, Exchange) else None
        if token is not None and token.trust_by is not None:
            context = structs.replace(context, maker=_maker(token, token.trust_by, locked))
        if (uses := reads.secret_uses.get(command.key)) is not None:
            context = structs.replace(context, secret_uses=uses)
        account = reads.accounts.get(command.account)
        if account is not None:
            context = structs.replace(context, policy=account.policy, epoch=account.epoch)
        return TokenContext(at=at, acceptance=context)

    def principals(self, command: Command, state: SubjectState | None) -> Iterable[Principal]:
        """Return the maker of the trust of a token that is exchanged: its bearers may do no more than the maker."""
        if isinstance(command, Exchange) and isinstance(state, Token) and state.trust and state.trust_by:
            yield Principal(actor=state.trust_by, account=state.account, scopes=())

    def refuse_replay(self, command: Command, state: SubjectState | None, context: TokenContext) -> None:
        """Raise a Refusal unless the caller could be shown the token's secret at this moment."""
        token = token_of(state)
        if token is None:
            raise SecretNoLongerAvailable
        denied = refusal_for(token, token.generation, context.at, context.acceptance)
        # A suspended token may be given a new secret, and stays suspended; and a token may be created with that.
        if denied and not isinstance(denied, TokenSuspended):
            raise SecretNoLongerAvailable(subject=str(token.id))
        refuse_beyond_token(command.by, token)
        if not _is_former_secret(command.by, token):
            refuse_beyond_lifetime(command.by, token.expires_at)


def token_of(state: SubjectState | None) -> Token | None:
    """Return the state as a Token; raise NotFound if it is of another kind."""
    if state is not None and not isinstance(state, Token):
        raise NotFound
    return state


def acceptance_in(context: DecisionContext | None) -> Context:
    """Return what a token's account and owner added when a command to the token was decided."""
    return context.acceptance if isinstance(context, TokenContext) else ALONE


def _is_former_secret(by: Principal, token: Token) -> bool:
    """Say whether a token calls with its previous secret, in its grace period, and not with a bearer of it."""
    return (
        by.actor == Actor("token", token.id)
        and by.generation == token.generation - 1
        and by.expires_at == good_until(token, by.generation)
    )


def accepted_once(command: Command, token: Token | None) -> bytes | None:
    """Return the digest under which to remember a JWT that the token accepts only once; else None."""
    if not isinstance(command, Exchange) or command.assertion is None or token is None or token.trust is None:
        return None
    return command.assertion.digest if token.trust.once else None


def _refuse_descendant(command: Command, reads: TokenReads) -> None:
    """Raise Busy if a token would create a child while a bulk revocation revokes the token's own makers.

    Otherwise a token that keeps creating children could stay ahead of the bulk revocation for ever.
    """
    if not isinstance(command, Create) or not reads.revoked_with_children:
        return
    if ((command.account, command.by.actor.id), spelt(command.owner)) in reads.revoked_with_children:
        raise Busy("What made this token is being revoked with all that it made; try again in a moment.")


def _age(opened: tuple[UUID, UUID, int], locked: Locked) -> datetime:
    state = locked.rows[opened[:2]].state
    return locked.clock if state is None else state.created_at


def _maker(token: Token, actor: Actor, locked: Locked) -> Principal | None:
    """Return the maker of a token's trust with its present scopes; changes of a user in this batch count."""
    if actor.kind == "system":
        return SYSTEM
    user = _user((token.account, actor.id), locked)
    caller = locked.callers.get((token.account, actor.id)) if user is None else UserCaller(user)
    maker = Principal(actor=actor, account=token.account, scopes=())
    return maker_of(cast("TokenCaller | UserCaller | None", caller), maker, locked.clock)


def _user(key: Key, locked: Locked) -> User | None:
    """Return a user on whom a decision depends; changes of the user in this batch count."""
    if (row := locked.rows.get(key)) is not None and isinstance(row.state, User):
        return row.state
    found = locked.callers.get(key)
    return found.user if isinstance(found, UserCaller) else None


TOKEN: Final = TokenKind("token", Token, TOKEN_EVENTS, COMMANDS, decide, evolve)
