"""Events of a user, and the roles of users."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from counterfoil.core.events import Event
from counterfoil.core.scopes import EVERYTHING

Role = Literal["administrator", "operator", "auditor", "member"]

_READS: Final = ("tokens.read", "alerts.read", "users.read", "account.read", "scopes.read")
ROLE_SCOPES: Final[dict[Role, tuple[str, ...]]] = {
    "administrator": (EVERYTHING,),
    "operator": (*_READS, "tokens.suspend", "tokens.revoke"),
    "auditor": (*_READS, "audit.read"),
    "member": ("own.*", "scopes.read"),
}
"""What each role may do; a user may be given scopes beyond it."""


class UserCreated(Event, frozen=True, kw_only=True):
    """A user was created; the e-mail address is private (as `name`). The first users have no number."""

    number: int | None = None
    role: Role
    scopes: tuple[str, ...] = ()


class UserUpdated(Event, frozen=True, kw_only=True):
    """Their e-mail address (private), role or scopes changed."""

    role: Role | UnsetType = UNSET
    scopes: tuple[str, ...] | UnsetType = UNSET


class PasswordChanged(Event, frozen=True, kw_only=True):
    """They have another password; `by` says whether it was changed by themselves or reset for them."""


class UserDisabled(Event, frozen=True, kw_only=True):
    """They and all their tokens are refused for now."""


class UserEnabled(Event, frozen=True, kw_only=True):
    """They and their tokens are accepted again, except revoked tokens."""


class UserRemoved(Event, frozen=True, kw_only=True):
    """They and all their tokens are refused for ever; the e-mail address is free again."""


class TotpEnrolled(Event, frozen=True, kw_only=True):
    """From now on a login also needs a one-time code, or one of so many recovery codes."""

    recovery_codes: int


class TotpRemoved(Event, frozen=True, kw_only=True):
    """A login needs only the password again."""


class RecoveryCodeUsed(Event, frozen=True, kw_only=True):
    """They logged in with this recovery code, which is not accepted again."""

    index: int


# These words are sealed in every entry. They are never renamed and never reused.
EVENTS: Final[dict[str, type[Event]]] = {
    "created": UserCreated,
    "updated": UserUpdated,
    "password_changed": PasswordChanged,
    "disabled": UserDisabled,
    "enabled": UserEnabled,
    "removed": UserRemoved,
    "totp_enrolled": TotpEnrolled,
    "totp_removed": TotpRemoved,
    "recovery_code_used": RecoveryCodeUsed,
}
