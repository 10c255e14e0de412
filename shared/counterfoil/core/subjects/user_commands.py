"""Commands to a user; the hashes and digests in a command are stored outside the log."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from counterfoil.core.refusals import (
    BadEmail,
    BadText,
    BeyondCaller,
    BeyondPolicy,
    EmailTaken,
    EntryTooLarge,
    LastAdministrator,
    UserGone,
)
from counterfoil.core.subjects.subject import Command, Key
from counterfoil.core.subjects.user_events import Role


class _Guarded(Command, frozen=True, kw_only=True):
    """A command that could remove the last administrator: it locks the account, so two cannot remove each other."""

    @property
    def guards(self) -> tuple[Key, ...]:
        """The account's own row."""
        return ((self.account, self.account),)


class CreateUser(Command, frozen=True, kw_only=True):
    """Add a user; the argon2id hash of the password is stored outside the log.

    A `number` is taken when the command goes to the door.
    """

    refusals = (BeyondCaller, BeyondPolicy, EmailTaken, BadEmail, BadText, EntryTooLarge)

    number: int = 0
    email: str
    role: Role
    scopes: tuple[str, ...] = ()
    password_hash: str

    @property
    def has_unique_value(self) -> bool:
        """The e-mail address."""
        return True


class UpdateUser(_Guarded, frozen=True, kw_only=True):
    """Change their e-mail address, role or scopes; fields that are UNSET stay."""

    refusals = (BeyondCaller, BeyondPolicy, EmailTaken, LastAdministrator, UserGone, BadEmail, BadText, EntryTooLarge)

    email: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    scopes: tuple[str, ...] | UnsetType = UNSET

    @property
    def has_unique_value(self) -> bool:
        """The e-mail address, where that changes."""
        return self.email is not UNSET


class ChangePassword(Command, frozen=True, kw_only=True):
    """Replace the password: changed by the user, or reset by another caller."""

    refusals = (BeyondCaller, UserGone)

    password_hash: str


class DisableUser(_Guarded, frozen=True, kw_only=True):
    """Refuse them and all their tokens for now."""

    refusals = (BeyondCaller, LastAdministrator, UserGone)

    reason: str


class EnableUser(Command, frozen=True, kw_only=True):
    """Accept them again."""

    refusals = (BeyondCaller, UserGone)


class RemoveUser(_Guarded, frozen=True, kw_only=True):
    """Refuse them and all their tokens for ever."""

    refusals = (BeyondCaller, LastAdministrator)

    reason: str


class EnrolTotp(Command, frozen=True, kw_only=True):
    """Require a one-time code from now on; encrypted seed and HMACs of recovery codes are stored outside the log.

    `last_step` is the time step of the code that confirmed the enrolment; that code is not accepted again.
    """

    refusals = (UserGone,)

    encrypted_seed: bytes
    last_step: int
    recovery_digests: tuple[bytes, ...]
    pepper_id: int

    @property
    def pepper(self) -> int | None:
        return self.pepper_id


class RemoveTotp(Command, frozen=True, kw_only=True):
    """Stop requiring a one-time code."""

    refusals = (BeyondCaller, UserGone)


class UseRecoveryCode(Command, frozen=True, kw_only=True):
    """Use up the recovery code with this digest; a code that replaced it in the meantime stays."""

    index: int
    digest: bytes


COMMANDS: Final = (
    CreateUser, UpdateUser, ChangePassword, DisableUser, EnableUser, RemoveUser, EnrolTotp, RemoveTotp, UseRecoveryCode,
)  # fmt: skip
