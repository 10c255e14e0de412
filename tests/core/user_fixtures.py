"""Three users of one account, and commands to them."""

from typing import Any
from uuid import UUID

from core.histories import ACCOUNT, ADMIN, BORN, NOON, SECOND
from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import TYPE_OF
from counterfoil.core.principal import Principal
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.user import User, UserContext, evolve, principal_of
from counterfoil.core.subjects.user_commands import (
    ChangePassword,
    CreateUser,
    DisableUser,
    EnableUser,
    EnrolTotp,
    RemoveTotp,
    RemoveUser,
    UpdateUser,
    UseRecoveryCode,
)
from counterfoil.core.subjects.user_events import Role, UserCreated

ADA, BOB, EVE = UUID(int=1), UUID(int=2), UUID(int=3)
PEOPLE = (ADA, BOB, EVE)
EMAIL = "ada@example.org"
NOW = UserContext(at=NOON, administrators=frozenset({ADA, BOB}))
ENROLMENT: dict[str, Any] = {
    "encrypted_seed": b"sealed", "last_step": 7, "recovery_digests": (b"a" * 32, b"b" * 32, b"c" * 32), "pepper_id": 1,
}  # fmt: skip


def command_of(command: type[Command], *, of: UUID = ADA, by: Principal = ADMIN, **fields: Any) -> Command:
    return command(account=ACCOUNT, id=of, by=by, **fields)


def create(**fields: Any) -> Command:
    usual: dict[str, Any] = {"number": 3, "email": EMAIL, "role": "member", "password_hash": "$argon2id$"}
    return command_of(CreateUser, **usual | fields)


def fact(event: Event, version: int, *, of: UUID = ADA) -> Fact:
    return Fact(
        account=ACCOUNT, subject=Subject("user", of), version=version, type=TYPE_OF[type(event)],
        at=BORN + version * SECOND, by=ADMIN.actor, event=event,
    )  # fmt: skip


def born(role: Role = "member", *scopes: str) -> UserCreated:
    return UserCreated(number=3, role=role, scopes=scopes, private=Private(name=EMAIL))


def after(*events: Event, of: UUID = ADA) -> User:
    user = None
    for version, event in enumerate(events, 1):
        user = evolve(user, fact(event, version, of=of))
    assert user is not None
    return user


def itself(user: User) -> Principal:
    return principal_of(user)


OTHERS: list[Command] = [
    command_of(UpdateUser, email="x@y"), command_of(ChangePassword, password_hash=""),
    command_of(DisableUser, reason="x"), command_of(EnableUser), command_of(RemoveUser, reason="x"),
    command_of(EnrolTotp, **ENROLMENT), command_of(RemoveTotp),
    command_of(UseRecoveryCode, index=0, digest=b"0" * 32),
]  # fmt: skip
"""Every command that an existing user may get."""
