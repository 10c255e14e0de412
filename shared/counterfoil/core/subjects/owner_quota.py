"""The quota of an owner: how often all of the owner's tokens may be used, and how many may be live.

A quota is not retroactive: tokens beyond a new `max_tokens` stay valid, and new ones are refused.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from counterfoil.core.bounds import OwnerQuota, checked_number, checked_rate
from counterfoil.core.events import Event, Fact
from counterfoil.core.owners import checked_owner
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import BadQuota, NotFound
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import Command, DecisionContext, SubjectState, no_command, unexpected


class QuotaSet(Event, frozen=True, kw_only=True):
    """Another quota holds for an owner from now on; None is any number."""

    owner: Owner
    rate_limit: str | None
    max_uses: int | None
    max_tokens: int | None


class QuotaRemoved(Event, frozen=True, kw_only=True):
    """The owner has no quota any more."""


EVENTS: Final[dict[str, type[Event]]] = {"set": QuotaSet, "removed": QuotaRemoved}


class SetQuota(Command, frozen=True, kw_only=True):
    """Give an owner a quota in place of any other; what is None is any number."""

    refusals = (BadQuota,)

    owner: Owner
    rate_limit: str | None = None
    max_uses: int | None = None
    max_tokens: int | None = None


class RemoveQuota(Command, frozen=True, kw_only=True):
    """Remove an owner's quota."""

    refusals = (NotFound,)

    owner: Owner


COMMANDS: Final = (SetQuota, RemoveQuota)


class QuotaOfOwner(SubjectState, frozen=True, kw_only=True):
    """The present quota of an owner; `name` is the owner as TYPE:ID."""

    owner: Owner
    rate_limit: str | None = None
    max_uses: int | None = None
    max_tokens: int | None = None

    @property
    def quota(self) -> OwnerQuota:
        return OwnerQuota(self.id, self.rate_limit, self.max_uses, self.max_tokens)


def decide(state: QuotaOfOwner | None, command: Command, _: DecisionContext) -> list[Event]:
    match command:
        case SetQuota():
            return _set(state, command)
        case RemoveQuota():
            if state is None or state.status != "active":
                raise NotFound("This owner has no quota.")
            command.refuse_stale(state)
            return [QuotaRemoved()]
    raise no_command(command)


def _set(state: QuotaOfOwner | None, command: SetQuota) -> list[Event]:
    if state is not None:
        command.refuse_stale(state)
    event = QuotaSet(
        owner=checked_owner(command.owner),
        rate_limit=checked_rate(command.rate_limit),
        max_uses=checked_number(command.max_uses, field="max_uses"),
        max_tokens=checked_number(command.max_tokens, field="max_tokens"),
    )
    wanted = OwnerQuota(command.id, event.rate_limit, event.max_uses, event.max_tokens)
    if wanted == OwnerQuota(command.id):
        raise BadQuota("A quota limits something: state rate_limit, max_uses or max_tokens.")
    if state is not None and state.status == "active" and state.quota == wanted:
        return []
    return [event]


def evolve(state: QuotaOfOwner | None, fact: Fact) -> QuotaOfOwner:
    match fact.event:
        case QuotaSet(owner=owner, rate_limit=rate_limit, max_uses=max_uses, max_tokens=max_tokens):
            if state is None:
                state = QuotaOfOwner.created(fact, owner=owner)
                state = replace(state, name=f"{owner.type}:{owner.id}", revision=0)
            return state.after(fact, status="active", rate_limit=rate_limit, max_uses=max_uses, max_tokens=max_tokens)
        case QuotaRemoved() if state is not None:
            return state.after(fact, status="removed")
    raise unexpected(fact)


KIND: Final = Kind("owner_quota", QuotaOfOwner, EVENTS, COMMANDS, decide, evolve)
