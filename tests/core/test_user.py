"""Users: their commands and events."""

from typing import Any
from uuid import UUID

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from core.deciding import decide as decide_any
from core.histories import ACCOUNT, ADMIN, NOON
from core.user_fixtures import ADA, BOB, EMAIL, ENROLMENT, NOW, OTHERS, after, born, command_of, create, fact, itself
from counterfoil.core.events import Event, Fact, Private, Subject
from counterfoil.core.kinds import evolve as evolve_any
from counterfoil.core.principal import SYSTEM
from counterfoil.core.refusals import (
    AlreadyExists,
    BadEmail,
    BadScope,
    BadText,
    EmailTaken,
    LastAdministrator,
    NotFound,
    Refusal,
    StaleRevision,
    UserGone,
)
from counterfoil.core.subjects.account import AccountCreated
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.user import UserContext, decide, evolve, login_of
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
from counterfoil.core.subjects.user_events import (
    PasswordChanged,
    RecoveryCodeUsed,
    TotpEnrolled,
    TotpRemoved,
    UserDisabled,
    UserEnabled,
    UserRemoved,
    UserUpdated,
)


def test_a_user_is_added_once_with_the_scopes_of_the_role_and_more() -> None:
    assert decide(None, create(scopes=("invoices.read",)), NOW) == [born("member", "invoices.read")]
    user = after(born("member", "invoices.read", "scopes.read"))
    assert user.held == ("own.*", "scopes.read", "invoices.read")
    assert (user.name, user.number, user.status, user.totp, user.revision) == (EMAIL, 3, "active", False, 1)
    with pytest.raises(AlreadyExists):
        decide(user, create(), NOW)


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"email": "nobody"}, BadEmail), ({"email": "a b@c"}, BadEmail), ({"email": "a@b@c"}, BadEmail),
        ({"email": "a:b@c"}, BadEmail), ({"email": f"{ADA}/a@b"}, BadEmail),
        ({"email": f"{'a' * 250}@b.org"}, BadText), ({"email": "a\x00@b"}, BadText), ({"scopes": ("a b",)}, BadScope),
    ],
)  # fmt: skip
def test_an_invalid_address_or_scope_is_refused(said: dict[str, Any], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        decide(None, create(**said), NOW)
    if "email" in said:
        with pytest.raises(refusal):
            decide(after(born()), command_of(UpdateUser, **said), NOW)


def test_an_address_belongs_to_one_user() -> None:
    taken = UserContext(at=NOON, emails={EMAIL: frozenset({ADA, BOB})})
    with pytest.raises(EmailTaken):
        decide(None, create(), taken)
    with pytest.raises(EmailTaken):
        decide(after(born()), command_of(UpdateUser, email=EMAIL), taken)
    assert (
        decide(
            after(born()), command_of(UpdateUser, email=EMAIL), UserContext(at=NOON, emails={EMAIL: frozenset({ADA})})
        )
        == []
    )


@pytest.mark.parametrize("command", OTHERS)
def test_a_command_to_a_missing_user_is_refused(command: Command) -> None:
    with pytest.raises(NotFound):
        decide(None, command, NOW)


@pytest.mark.parametrize("command", OTHERS)
def test_a_removed_user_stays_removed(command: Command) -> None:
    gone = after(born(), UserRemoved())
    if isinstance(command, RemoveUser):
        assert decide(gone, command, NOW) == []
        return
    with pytest.raises(UserGone):
        decide(gone, command, NOW)


@pytest.mark.parametrize("command", OTHERS)
def test_a_change_may_require_a_revision(command: Command) -> None:
    with pytest.raises(StaleRevision) as refused:
        decide(after(born()), replace(command, revisions=frozenset({4})), NOW)
    assert refused.value.facts == {"revision": 1}


def test_disabling_and_enabling_happen_once() -> None:
    disabled = decide(after(born()), command_of(DisableUser, reason="on leave"), NOW)
    assert disabled == [UserDisabled(private=Private(reason="on leave"))]
    assert decide(after(born(), *disabled), command_of(DisableUser, reason="again"), NOW) == []
    assert decide(after(born(), *disabled), command_of(EnableUser), NOW) == [UserEnabled()]
    assert decide(after(born()), command_of(EnableUser), NOW) == []
    assert after(born(), *disabled).status == "disabled"
    assert after(born(), *disabled, UserEnabled()).status == "active"
    for command in (DisableUser, RemoveUser):
        with pytest.raises(BadText):
            decide(after(born()), command_of(command, reason=" "), NOW)


def test_a_removed_user_leaves_neither_address_nor_second_factor() -> None:
    gone = after(born(), TotpEnrolled(recovery_codes=3), UserRemoved(private=Private(reason="left")))
    assert (gone.status, gone.name, gone.totp, gone.recovery_codes) == ("removed", None, False, ())


def test_an_update_event_names_only_changed_fields() -> None:
    user = after(born())
    assert decide(user, command_of(UpdateUser), NOW) == []
    assert decide(user, command_of(UpdateUser, email=EMAIL, role="member", scopes=()), NOW) == []
    [event] = decide(user, command_of(UpdateUser, email="ada@new.org", role="auditor", scopes=("a.b",)), NOW)
    assert event == UserUpdated(role="auditor", scopes=("a.b",), private=Private(name="ada@new.org"))
    changed = after(born(), event)
    assert (changed.name, changed.role, changed.scopes, changed.revision) == ("ada@new.org", "auditor", ("a.b",), 2)
    [event] = decide(user, command_of(UpdateUser, role="operator"), NOW)
    assert event == UserUpdated(role="operator", scopes=UNSET)
    assert after(born(), event).name == EMAIL


def test_one_time_codes_come_with_recovery_codes_that_work_once() -> None:
    [enrolled] = decide(after(born()), command_of(EnrolTotp, **ENROLMENT), NOW)
    assert enrolled == TotpEnrolled(recovery_codes=3)
    user = after(born(), enrolled)
    assert (user.totp, user.recovery_codes) == (True, (0, 1, 2))
    [used] = decide(user, command_of(UseRecoveryCode, index=1, digest=b"1" * 32), NOW)
    assert used == RecoveryCodeUsed(index=1)
    spent = after(born(), enrolled, used)
    assert spent.recovery_codes == (0, 2)
    for index in (1, 3, -1):
        with pytest.raises(NotFound):
            decide(spent, command_of(UseRecoveryCode, index=index, digest=b"1" * 32), NOW)
    assert decide(spent, command_of(RemoveTotp), NOW) == [TotpRemoved()]
    assert decide(after(born()), command_of(RemoveTotp), NOW) == []
    bare = after(born(), enrolled, used, TotpRemoved())
    assert (bare.totp, bare.recovery_codes) == (False, ())
    assert after(born(), enrolled, used, enrolled).recovery_codes == (0, 1, 2)


def test_neither_hash_nor_seed_enters_an_event() -> None:
    for command in (
        create(),
        command_of(ChangePassword, password_hash="$argon2id$"),
        command_of(EnrolTotp, **ENROLMENT),
    ):
        [event] = decide(None if isinstance(command, CreateUser) else after(born()), command, NOW)
        assert "argon2id" not in repr(event)
        assert "sealed" not in repr(event)


def test_a_new_password_is_recorded_and_counted_and_changes_nothing_else() -> None:
    assert decide(after(born()), command_of(ChangePassword, password_hash=""), NOW) == [PasswordChanged()]
    before, changed = after(born()), after(born(), PasswordChanged())
    assert changed.generation == 2
    same = replace(changed, generation=1, revision=1, version=1, at=before.at, updated_at=before.updated_at)
    assert same == before


@pytest.mark.parametrize(
    "command",
    [command_of(UpdateUser, role="member"), command_of(DisableUser, reason="x"), command_of(RemoveUser, reason="x")],
)
def test_the_last_active_administrator_cannot_be_removed(command: Command) -> None:
    admin = after(born("administrator"))
    for by in (ADMIN, itself(admin), replace(SYSTEM, account=ACCOUNT)):
        for left in (frozenset({ADA}), frozenset[UUID]()):
            with pytest.raises(LastAdministrator):
                decide(admin, replace(command, by=by), UserContext(at=NOON, administrators=left))
        assert decide(admin, replace(command, by=by), NOW)
    assert command.guards == ((command.account, command.account),)


def test_other_users_and_disabled_administrators_can_be_removed() -> None:
    alone = UserContext(at=NOON, administrators=frozenset({BOB}))
    assert decide(after(born()), command_of(RemoveUser, reason="left"), alone)
    disabled = after(born("administrator"), UserDisabled())
    assert decide(disabled, command_of(RemoveUser, reason="left"), alone)
    assert decide(disabled, command_of(UpdateUser, role="member"), alone)
    assert command_of(EnableUser).guards == ()


def test_an_impossible_event_is_a_broken_log() -> None:
    for user, event in ((None, UserEnabled()), (after(born()), born())):
        with pytest.raises(ValueError, match="cannot come here"):
            evolve(user, fact(event, 2))
    with pytest.raises(TypeError, match="no such command"):
        decide(after(born()), command_of(Command), NOW)


def test_a_command_to_a_user_is_a_bug_for_another_kind() -> None:
    account = evolve_any(None, fact_about("account", AccountCreated(private=Private(name="Acme"))))
    with pytest.raises(NotFound):
        decide_any(account, command_of(EnableUser), NOW)
    with pytest.raises(ValueError, match="cannot come here"):
        evolve_any(account, fact(UserEnabled(), 2))


def fact_about(kind: str, event: Event) -> Fact:
    return replace(fact(event, 1), subject=Subject(kind, ADA))


def test_a_login_names_its_account_unless_it_is_the_default_one() -> None:
    other = UUID(int=7)
    assert login_of(EMAIL, ACCOUNT, ACCOUNT) == EMAIL
    assert login_of(EMAIL, ACCOUNT, other) == f"{ACCOUNT}/{EMAIL}"
