"""A user: a person with a role, who logs in with a password and perhaps a one-time code.

Password hashes, seeds and the digests of recovery codes are stored outside the log, never in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from msgspec import UNSET

from counterfoil.core import scopes, text
from counterfoil.core.emails import checked_email
from counterfoil.core.events import Event, Fact, Private
from counterfoil.core.principal import Actor, Owner, Principal, refuse_beyond, refuse_passing
from counterfoil.core.refusals import AlreadyExists, EmailTaken, LastAdministrator, NotFound, UserGone
from counterfoil.core.subjects import user_commands as commands
from counterfoil.core.subjects import user_events as events
from counterfoil.core.subjects.subject import Command, DecisionContext, SubjectState, no_command, unexpected


class UserContext(DecisionContext, frozen=True, kw_only=True):
    """What decisions about a user depend on.

    `administrators` are the account's active ones, read if a command could remove the last of them; `emails` maps the
    requested e-mail addresses to the users who have them.
    """

    administrators: frozenset[UUID] = frozenset()
    emails: Mapping[str, frozenset[UUID]] = {}


class User(SubjectState, frozen=True, kw_only=True):
    """The present state of a user; `name` is the e-mail address, `recovery_codes` the unused ones.

    `generation` rises with each change of the password or of the second factor.
    """

    role: events.Role
    scopes: tuple[str, ...] = ()
    totp: bool = False
    recovery_codes: tuple[int, ...] = ()
    generation: int = 1

    @property
    def held(self) -> tuple[str, ...]:
        return held(self.role, self.scopes)


def held(role: events.Role, granted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the effective scopes of a user with this role and these granted scopes."""
    return tuple(dict.fromkeys((*events.ROLE_SCOPES[role], *granted)))


def owner_of(user: UUID) -> Owner:
    """Return a user as the owner of tokens."""
    return Owner("user", str(user))


def login_of(email: str, account: UUID, default: UUID) -> str:
    """Return the login name: the address, and outside the default account ACCOUNT/ADDRESS."""
    return email if account == default else f"{account}/{email}"


def principal_of(user: User) -> Principal:
    """Return a user as a caller that has just logged in."""
    return Principal(
        actor=Actor("user", user.id), account=user.account, scopes=user.held, owner=owner_of(user.id),
        generation=user.generation,
    )  # fmt: skip


def decide(user: User | None, command: Command, context: UserContext) -> list[Event]:
    if isinstance(command, commands.CreateUser):
        return _create(user, command, context)
    if user is None:
        raise NotFound
    command.refuse_stale(user)
    if user.status == "removed":
        if isinstance(command, commands.RemoveUser):
            return []
        raise UserGone
    return _change(user, command, context)


def _create(user: User | None, command: commands.CreateUser, context: UserContext) -> list[Event]:
    if user is not None:
        raise AlreadyExists
    _refuse_taken(command.email, command.id, context)
    granted = scopes.checked(command.scopes)
    _refuse_beyond(command.by, command.id, held(command.role, granted))
    return [
        events.UserCreated(
            number=command.number, role=command.role, scopes=granted, private=Private(name=checked_email(command.email))
        )
    ]  # fmt: skip


def _change(user: User, command: Command, context: UserContext) -> list[Event]:
    if command.by.actor.id != user.id:  # a caller must not change a user who may do more
        refuse_beyond(command.by, user.held, owner=owner_of(user.id))
        # An expiring caller may disable or remove users: that grants nothing that outlives the caller.
        if not isinstance(command, commands.DisableUser | commands.RemoveUser):
            refuse_passing(command.by)
    match command:
        case commands.UpdateUser():
            return _update(user, command, context)
        case commands.ChangePassword():
            return [events.PasswordChanged()]
        case commands.DisableUser(reason=reason):
            if user.status == "disabled":
                return []
            _refuse_last(user, context)
            return [events.UserDisabled(private=Private(reason=text.checked_reason(reason)))]
        case commands.EnableUser():
            return [] if user.status == "active" else [events.UserEnabled()]
        case commands.RemoveUser(reason=reason):
            _refuse_last(user, context)
            return [events.UserRemoved(private=Private(reason=text.checked_reason(reason)))]
        case commands.EnrolTotp(recovery_digests=digests):
            return [events.TotpEnrolled(recovery_codes=len(digests))]
        case commands.RemoveTotp():
            return [events.TotpRemoved()] if user.totp else []
        case commands.UseRecoveryCode(index=index):
            if index not in user.recovery_codes:
                raise NotFound
            return [events.RecoveryCodeUsed(index=index)]
    raise no_command(command)


def _update(user: User, command: commands.UpdateUser, context: UserContext) -> list[Event]:
    email = UNSET if command.email is UNSET else checked_email(command.email)
    if command.email is not UNSET:
        _refuse_taken(command.email, user.id, context)
    role = UNSET if command.role in (UNSET, user.role) else command.role
    granted = UNSET if command.scopes is UNSET else scopes.checked(command.scopes)
    granted = UNSET if granted == user.scopes else granted
    if role is not UNSET or granted is not UNSET:
        wanted = held(user.role if role is UNSET else role, user.scopes if granted is UNSET else granted)
        _refuse_beyond(command.by, user.id, wanted)
        if role is not UNSET and role != "administrator":
            _refuse_last(user, context)
    private = Private(name=UNSET if email == user.name else email)
    if (role, granted, private) == (UNSET, UNSET, Private()):
        return []
    return [events.UserUpdated(role=role, scopes=granted, private=private)]


def _refuse_beyond(caller: Principal, user: UUID, wanted: tuple[str, ...]) -> None:
    refuse_beyond(caller, wanted, owner=owner_of(user))
    refuse_passing(caller)


def _refuse_taken(email: str, user: UUID, context: UserContext) -> None:
    if context.emails.get(email, frozenset()) - {user}:
        raise EmailTaken


def _refuse_last(user: User, context: UserContext) -> None:
    if user.role == "administrator" and user.status == "active" and context.administrators <= {user.id}:
        raise LastAdministrator


def evolve(user: User | None, fact: Fact) -> User:
    if user is None:
        if isinstance(fact.event, events.UserCreated):
            event = fact.event
            return User.created(fact, number=event.number, role=event.role, scopes=event.scopes)
        raise unexpected(fact)
    return user.after(fact, **_changes(user, fact))


def _changes(user: User, fact: Fact) -> dict[str, object]:
    match fact.event:
        case events.UserUpdated(role=role, scopes=granted, private=private):
            stated = {"role": role, "scopes": granted, "name": private.name}
            return {field: value for field, value in stated.items() if value is not UNSET}
        case events.PasswordChanged():
            return {"generation": user.generation + 1}
        case events.UserDisabled():
            return {"status": "disabled"}
        case events.UserEnabled():
            return {"status": "active"}
        case events.UserRemoved():
            return {"status": "removed", "name": None, "totp": False, "recovery_codes": ()}
        case events.TotpEnrolled(recovery_codes=count):
            return {"totp": True, "recovery_codes": tuple(range(count)), "generation": user.generation + 1}
        case events.TotpRemoved():
            return {"totp": False, "recovery_codes": (), "generation": user.generation + 1}
        case events.RecoveryCodeUsed(index=index):
            return {"recovery_codes": tuple(left for left in user.recovery_codes if left != index)}
    raise unexpected(fact)
