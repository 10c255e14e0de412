"""The user as a kind of subject: its decisions read administrators and e-mail addresses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from counterfoil.core.caller_recheck import UserCaller
from counterfoil.core.locked import CallerState, Locked
from counterfoil.core.principal import refuse_beyond, refuse_passing
from counterfoil.core.refusals import SecretNoLongerAvailable
from counterfoil.core.subjects.kind import Kind
from counterfoil.core.subjects.subject import Command, SubjectState
from counterfoil.core.subjects.user import User, UserContext, decide, evolve, owner_of
from counterfoil.core.subjects.user_commands import COMMANDS
from counterfoil.core.subjects.user_events import EVENTS


@dataclass(slots=True)
class UserReads:
    """The active administrators of an account, and the users who have an e-mail address there."""

    administrators: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    emails: dict[UUID, dict[str, frozenset[UUID]]] = field(default_factory=dict)

    def copy(self) -> UserReads:
        return replace(self, administrators=dict(self.administrators))


@dataclass(frozen=True)
class UserKind(Kind):
    """Users: an account keeps an administrator, and an e-mail address belongs to one user."""

    def context(self, command: Command, at: datetime, locked: Locked) -> UserContext:
        """Return the administrators and the holders of e-mail addresses of the account."""
        reads = locked.of(UserReads)
        return UserContext(
            at=at,
            administrators=reads.administrators.get(command.account, frozenset()),
            emails=reads.emails.get(command.account, {}),
        )

    def admit(self, _command: Command, _before: SubjectState | None, after: SubjectState, locked: Locked) -> None:
        """Update the active administrators of the account."""
        counted = locked.of(UserReads).administrators
        if after.account not in counted:
            return
        user, others = cast("User", after), counted[after.account] - {after.id}
        counts = user.role == "administrator" and user.status == "active"
        counted[user.account] = others | {user.id} if counts else others

    def caller(self, state: SubjectState) -> CallerState | None:
        return UserCaller(cast("User", state))

    def refuse_replay(self, command: Command, state: SubjectState | None, _context: UserContext) -> None:
        """Raise a Refusal unless the caller could be shown the user's new password at this moment."""
        if not isinstance(state, User) or state.status == "removed":
            raise SecretNoLongerAvailable(subject=str(command.id))
        if command.by.actor.id != state.id:
            refuse_beyond(command.by, state.held, owner=owner_of(state.id))
            refuse_passing(command.by)


USER: Final = UserKind("user", User, EVENTS, COMMANDS, decide, evolve)
