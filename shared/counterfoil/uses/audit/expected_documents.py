"""The document that the API should show of a subject, derived from its state, and each field that differs.

Pure. Fields that do not come from events are not compared: last uses, the progress of a bulk revocation, present names
of users, and their logins.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import reduce
from typing import Final, NamedTuple

from counterfoil.core.duration import spelt
from counterfoil.core.refusals import Denied, OwnerDisabled, SecretEnded, TokenExpired, TokenRevoked, TokenSuspended
from counterfoil.core.subjects.account import Account
from counterfoil.core.subjects.bulk_revocation import BulkRevocation
from counterfoil.core.subjects.scope_catalogue import Scope, ScopeSet
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.core.subjects.token.acceptance import ALONE, Context, refusal_for, status_at
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user import User

LEEWAY: Final = timedelta(minutes=5)
"""Clocks differ: a field that changes with time alone may be this much early or late."""
PRIVATE: Final = frozenset({"name", "description", "metadata", "reason", "email", "sentence", "filter"})
"""Fields of documents that come from private parts of events."""
FROM_CONTEXT: Final = frozenset({"effective_scopes", "refused"})
"""Fields of a token's document that depend on its owner and account."""
PROBLEMS: Final[Mapping[type[Denied], str]] = {
    TokenRevoked: "token-revoked", SecretEnded: "secret-ended", OwnerDisabled: "owner-disabled",
    TokenExpired: "token-expired", TokenSuspended: "token-suspended",
}  # fmt: skip
"""What the API calls the refusals of a token's present secret."""
USED_UP: Final = "uses-exhausted"
"""The only refusal that no event records."""


class Difference(NamedTuple):
    """A field of a document (`policy.networks` is one of a part), what it shows, and what the events say."""

    field: str
    shown: object
    expected: object


def is_listed(state: Token | SubjectState) -> bool:
    """Return whether the API lists the subject: it omits what was removed from the catalogue."""
    return state.status == "active" if isinstance(state, Scope | ScopeSet) else True


def differences(
    state: Token | SubjectState, document: object, at: datetime, context: Context = ALONE, *, private: bool = True
) -> list[Difference]:
    """Return where a document that was shown at this moment differs from the state.

    Without `private`, fields that come from private parts are omitted. `context` is that of a token.
    """
    early, late = (expected(state, moment, context) for moment in (at - LEEWAY, at + LEEWAY))
    shown_fields = {
        name: reduce(getattr, name.split("."), document) for name in early if private or name not in PRIVATE
    }
    return [
        Difference(name, shown, late[name])
        for name, shown in shown_fields.items()
        if shown not in (early[name], late[name]) and not _used_up(state, name, shown, late[name])
    ]


def _used_up(state: Token | SubjectState, name: str, shown: object, expected: object) -> bool:
    """Return whether a token is shown as refused because its uses, which are no events, are exhausted."""
    return isinstance(state, Token) and (name, shown, expected) == ("refused", USED_UP, None)


def expected(state: Token | SubjectState, at: datetime, context: Context = ALONE) -> dict[str, object]:
    """Return every field that the API should show of this state at this moment. Raises TypeError on other kinds."""
    match state:
        case Token():
            return _token(state, at, context)
        case Account():
            return _account(state)
        case User():
            return {
                "id": state.id, "account": state.account, "number": state.number, "email": state.name,
                "role": state.role, "scopes": state.scopes, "status": state.status, "totp": state.totp,
                "recovery_codes": len(state.recovery_codes), **_times(state),
            }  # fmt: skip
        case Scope():
            return {
                "scope": state.name, "sentence": state.sentence, "documentation": state.documentation,
                "built_in": False, "revision": state.revision,
            }  # fmt: skip
        case ScopeSet():
            return {
                "name": state.name, "sentence": state.sentence, "scopes": state.scopes, "built_in": False,
                "revision": state.revision,
            }  # fmt: skip
        case BulkRevocation():
            return _bulk_revocation(state)
    raise TypeError(f"the API shows nothing of an {type(state).__name__}")


def _token(token: Token, at: datetime, context: Context) -> dict[str, object]:
    denied, until = refusal_for(token, token.generation, at, context), token.previous_until
    graced = until is not None and until > at and status_at(token, at, context) != "revoked"
    return {
        "id": token.id, "account": token.account, "number": token.number,
        "owner.type": token.owner.type, "owner.id": token.owner.id,
        "creator.kind": token.creator.kind, "creator.id": token.creator.id,
        "name": token.name, "description": token.description, "scopes": token.scopes,
        "effective_scopes": context.left_of(token.scopes), "metadata": token.metadata,
        "networks": token.networks, "rate_limit": token.rate_limit, "max_uses": token.max_uses,
        "trust": token.trust,
        "status": status_at(token, at, context), "refused": None if denied is None else PROBLEMS[type(denied)],
        "lifetime": token.lifetime, "expires_at": token.expires_at, "last_exchanged_at": token.last_exchanged_at,
        "generation": token.generation, "previous_secret_until": until if graced else None, "hint": token.hint,
        "reason": token.reason, "dialect": token.dialect, **_times(token),
    }  # fmt: skip


def _account(account: Account) -> dict[str, object]:
    policy = account.policy
    notices = None if policy.thresholds is None else tuple(map(spelt, policy.thresholds))
    return {
        "id": account.id, "name": account.name, "parent": account.parent, "valid_after": account.valid_after,
        "policy.max_lifetime": policy.max_lifetime, "policy.default_lifetime": policy.default_lifetime,
        "policy.notices": notices, "policy.networks": policy.networks,
        "policy.catalogue_closed": policy.catalogue_closed is True, **_times(account),
    }  # fmt: skip


def _bulk_revocation(revocation: BulkRevocation) -> dict[str, object]:
    counted = {"revoked": revocation.revoked, "failed": revocation.failed} if revocation.status == "finished" else {}
    return {
        "id": revocation.id, "status": revocation.status, "reason": revocation.reason,
        "filter": revocation.filter, "plan": revocation.plan, "total": revocation.total,
        "with_children": revocation.children is not None, "created_at": revocation.created_at,
        "created_by.kind": revocation.creator.kind, "created_by.id": revocation.creator.id,
        "started_at": revocation.started_at, "ended_at": revocation.ended_at, "revision": revocation.revision,
        **counted,
    }  # fmt: skip


def _times(state: Token | SubjectState) -> dict[str, object]:
    return {"created_at": state.created_at, "updated_at": state.updated_at, "revision": state.revision}
