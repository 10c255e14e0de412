"""Commands to a user; the hashes and digests in a command are kept beside the log."""

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
from counterfoil.core.subjects.subject import Key, SubjectCommand
from counterfoil.core.subjects.user_events import Role


class _Guarded(SubjectCommand, frozen=True, kw_only=True):
    """A command that could leave an account without an administrator: two must not end each other at once."""

    @property
    def guards(self) -> tuple[Key, ...]:
        """The account's own row."""
        return ((self.account, self.account),)


class CreateUser(SubjectCommand, frozen=True, kw_only=True):
    """Add a user, with the argon2id hash of a password that is kept beside the log, never in it.

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
    """Change their e-mail address, role or scopes; what is UNSET stays."""

    refusals = (BeyondCaller, BeyondPolicy, EmailTaken, LastAdministrator, UserGone, BadEmail, BadText, EntryTooLarge)

    email: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    scopes: tuple[str, ...] | UnsetType = UNSET

    @property
    def has_unique_value(self) -> bool:
        """The e-mail address, where that changes."""
        return self.email is not UNSET


class ChangePassword(SubjectCommand, frozen=True, kw_only=True):
    """Give them another password: their own doing or a reset."""

    refusals = (BeyondCaller, UserGone)

    password_hash: str


class DisableUser(_Guarded, frozen=True, kw_only=True):
    """Refuse them and all their tokens for now."""

    refusals = (BeyondCaller, LastAdministrator, UserGone)

    reason: str


class EnableUser(SubjectCommand, frozen=True, kw_only=True):
    """Accept them again."""

    refusals = (BeyondCaller, UserGone)


class RemoveUser(_Guarded, frozen=True, kw_only=True):
    """Refuse them and all their tokens for ever."""

    refusals = (BeyondCaller, LastAdministrator)

    reason: str


class EnrolTotp(SubjectCommand, frozen=True, kw_only=True):
    """Demand a one-time code from now on; encrypted seed and HMACs of recovery codes are kept beside the log.

    `last_step` is that of the code by which they enrolled: it opens nothing any more.
    """

    refusals = (UserGone,)

    encrypted_seed: bytes
    last_step: int
    recovery_digests: tuple[bytes, ...]
    pepper_id: int

    @property
    def pepper(self) -> int | None:
        return self.pepper_id


class RemoveTotp(SubjectCommand, frozen=True, kw_only=True):
    """Demand no one-time code any more."""

    refusals = (BeyondCaller, UserGone)


class UseRecoveryCode(SubjectCommand, frozen=True, kw_only=True):
    """Spend one of their recovery codes: the one with this digest, and none that took its place meanwhile."""

    index: int
    digest: bytes


COMMANDS: Final = (
    CreateUser, UpdateUser, ChangePassword, DisableUser, EnableUser, RemoveUser, EnrolTotp, RemoveTotp, UseRecoveryCode,
)  # fmt: skip
