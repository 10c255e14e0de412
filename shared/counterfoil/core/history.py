"""The state of a token at a past moment, what it could do, and which event decided that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce

import msgspec

from counterfoil.core.events import Fact
from counterfoil.core.refusals import Denied, OwnerDisabled, SecretEnded
from counterfoil.core.subjects import account, user
from counterfoil.core.subjects.account import SecretsEnded
from counterfoil.core.subjects.token.acceptance import Context, Status, refusal_for, status_at
from counterfoil.core.subjects.token.events import Created, Renewed, Resumed, Revoked, Suspended
from counterfoil.core.subjects.token.state import Token, evolve
from counterfoil.core.subjects.user_events import UserDisabled, UserRemoved


class Past(msgspec.Struct, frozen=True):
    """The state at a moment with its context and status, and the event that decided whether it was accepted."""

    token: Token
    context: Context
    status: Status
    at: datetime
    decided_by: Fact


def past(
    changes: Sequence[Fact], at: datetime, *, owner: Sequence[Fact] = (), of_account: Sequence[Fact] = ()
) -> Past | None:
    """Return the state after these changes (all up to `at`, the oldest first); None before the creation.

    `owner` are those of the user on whose behalf it acts, `of_account` those of its account, likewise up to `at`.
    """
    token: Token | None = None
    for fact in changes:
        token = evolve(token, fact)
    if token is None:
        return None
    context = _surroundings(owner, of_account)
    then = status_at(token, at, context)
    denied = refusal_for(token, token.generation, at, context)
    return Past(token, context, then, at, _decider((*changes, *owner, *of_account), then, denied))


def _surroundings(owner: Sequence[Fact], of_account: Sequence[Fact]) -> Context:
    return surrounded_by(
        reduce(account.evolve, of_account, None) if of_account else None,
        reduce(user.evolve, owner, None) if owner else None,
    )


def surrounded_by(tenant: account.Account | None, person: user.User | None) -> Context:
    """Return the context that a token's account and the user who owns it give it, as far as they are known."""
    context = Context() if tenant is None else Context(tenant.policy, tenant.epoch)
    if person is None:
        return context
    return msgspec.structs.replace(context, owner=person.status, owner_holds=person.held)


def _decider(facts: Sequence[Fact], then: Status, denied: Denied | None) -> Fact:
    """Return the deciding event: for an expired token the one that set its expiry."""
    deciding: tuple[type, ...] = {
        "revoked": (Revoked,),
        "suspended": (Suspended,),
        "expired": (Created, Renewed),
        "active": (Created, Renewed, Resumed),
    }[then]
    if isinstance(denied, OwnerDisabled):
        deciding = (UserDisabled, UserRemoved)
    elif isinstance(denied, SecretEnded):
        deciding = (SecretsEnded,)
    return next(fact for fact in reversed(facts) if isinstance(fact.event, deciding))
