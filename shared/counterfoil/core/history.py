"""A token's state at a past moment, its rights then, and the event that decided its status."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from typing import cast

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

    `owner` are the events of the user that owns it, `of_account` those of its account, also up to `at`.
    """
    token = reduce(evolve, changes, cast("Token | None", None))
    if token is None:
        return None
    context = context_of(reduce(account.evolve, of_account, None), reduce(user.evolve, owner, None))
    then = status_at(token, at, context)
    denied = refusal_for(token, token.generation, at, context)
    return Past(token, context, then, at, _decider((*changes, *owner, *of_account), then, denied))


def context_of(tenant: account.Account | None, owner: user.User | None) -> Context:
    """Return the context of a token, given its account and the user that owns it, as far as they are known."""
    context = Context() if tenant is None else Context(tenant.policy, tenant.epoch)
    return context if owner is None else msgspec.structs.replace(context, owner=owner.status, owner_holds=owner.held)


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
