"""Users: what may be asked about one, by whom, and what is left when all was asked in any order."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from counterfoil.account import AccountCreated
from counterfoil.events import Event, Fact, Private, Subject
from counterfoil.principal import SYSTEM, Actor, Owner, Principal, refuse_beyond
from counterfoil.refusals import (
    AlreadyExists,
    BadEmail,
    BadScope,
    BadText,
    BeyondCaller,
    EmailTaken,
    LastAdministrator,
    NotFound,
    Refusal,
    StaleRevision,
    UserGone,
)
from counterfoil.scopes import missing
from counterfoil.small import Around, SubjectCommand
from counterfoil.subjects import TYPE_OF
from counterfoil.subjects import decide as decide_any
from counterfoil.subjects import evolve as evolve_any
from counterfoil.user import User, decide, evolve, held, owner_of, principal_of
from counterfoil.user_commands import (
    ChangePassword,
    CreateUser,
    DisableUser,
    EnableUser,
    EnrolTotp,
    RemoveTotp,
    RemoveUser,
    UpdateUser,
    UseRecoveryCode,
    lessens_administrators,
)
from counterfoil.user_events import (
    ROLE_SCOPES,
    ROLES,
    PasswordChanged,
    RecoveryCodeUsed,
    Role,
    TotpEnrolled,
    TotpRemoved,
    UserCreated,
    UserDisabled,
    UserEnabled,
    UserRemoved,
    UserUpdated,
)
from pure.stories import ACCOUNT, ADMIN, BORN, NOON, SECOND, holding

ADA, BOB, EVE = UUID(int=1), UUID(int=2), UUID(int=3)
PEOPLE = (ADA, BOB, EVE)
EMAIL = "ada@example.org"
NOW = Around(at=NOON, administrators=frozenset({ADA, BOB}))
ENROLMENT: dict[str, Any] = {
    "sealed_seed": b"sealed", "last_step": 7, "recovery_digests": (b"a" * 32, b"b" * 32, b"c" * 32), "pepper_id": 1,
}  # fmt: skip


def asks(command: type[SubjectCommand], *, of: UUID = ADA, by: Principal = ADMIN, **said: Any) -> SubjectCommand:
    return command(account=ACCOUNT, id=of, by=by, **said)


def create(**said: Any) -> SubjectCommand:
    usual: dict[str, Any] = {"number": 3, "email": EMAIL, "role": "member", "password_hash": "$argon2id$"}
    return asks(CreateUser, **usual | said)


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


def test_a_user_is_added_once_with_what_their_role_may_do_and_more() -> None:
    assert decide(None, create(scopes=("invoices.read",)), NOW) == [born("member", "invoices.read")]
    user = after(born("member", "invoices.read", "scopes.read"))
    assert user.held == ("own.*", "scopes.read", "invoices.read")
    assert (user.name, user.number, user.standing, user.totp, user.revision) == (EMAIL, 3, "active", False, 1)
    with pytest.raises(AlreadyExists):
        decide(user, create(), NOW)


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"email": "nobody"}, BadEmail), ({"email": "a b@c"}, BadEmail), ({"email": "a@b@c"}, BadEmail),
        ({"email": f"{'a' * 250}@b.org"}, BadText), ({"email": "a\x00@b"}, BadText), ({"scopes": ("a b",)}, BadScope),
    ],
)  # fmt: skip
def test_an_odd_address_or_scope_is_refused(said: dict[str, Any], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        decide(None, create(**said), NOW)
    if "email" in said:
        with pytest.raises(refusal):
            decide(after(born()), asks(UpdateUser, **said), NOW)


def test_an_address_names_one_user() -> None:
    taken = Around(at=NOON, emails={EMAIL: BOB})
    with pytest.raises(EmailTaken):
        decide(None, create(), taken)
    with pytest.raises(EmailTaken):
        decide(after(born()), asks(UpdateUser, email=EMAIL), taken)
    assert decide(after(born()), asks(UpdateUser, email=EMAIL), Around(at=NOON, emails={EMAIL: ADA})) == []


OTHERS: list[SubjectCommand] = [
    asks(UpdateUser, email="x@y"), asks(ChangePassword, password_hash=""), asks(DisableUser, reason="x"),
    asks(EnableUser), asks(RemoveUser, reason="x"), asks(EnrolTotp, **ENROLMENT), asks(RemoveTotp),
    asks(UseRecoveryCode, index=0),
]  # fmt: skip


@pytest.mark.parametrize("command", OTHERS)
def test_nothing_is_asked_of_somebody_who_is_not_there(command: SubjectCommand) -> None:
    with pytest.raises(NotFound):
        decide(None, command, NOW)


@pytest.mark.parametrize("command", OTHERS)
def test_whoever_was_removed_stays_so(command: SubjectCommand) -> None:
    gone = after(born(), UserRemoved())
    if isinstance(command, RemoveUser):
        assert decide(gone, command, NOW) == []
        return
    with pytest.raises(UserGone):
        decide(gone, command, NOW)


@pytest.mark.parametrize("command", OTHERS)
def test_a_change_may_insist_on_a_revision(command: SubjectCommand) -> None:
    with pytest.raises(StaleRevision) as refused:
        decide(after(born()), replace(command, revisions=frozenset({4})), NOW)
    assert refused.value.facts == {"revision": 1}


@pytest.mark.parametrize("command", OTHERS)
def test_nobody_has_power_over_who_may_do_more(command: SubjectCommand) -> None:
    user = after(born("auditor"), TotpEnrolled(recovery_codes=3))
    with pytest.raises(BeyondCaller):
        decide(user, replace(command, by=holding("users.*", *ROLE_SCOPES["operator"])), NOW)
    decide(user, replace(command, by=holding(*ROLE_SCOPES["auditor"])), NOW)


@pytest.mark.parametrize("command", OTHERS)
def test_who_asks_for_a_time_may_end_but_gives_nothing_that_lasts(command: SubjectCommand) -> None:
    passing = holding("all", expires_at=NOON)
    user = after(born(), TotpEnrolled(recovery_codes=3))
    if isinstance(command, DisableUser | RemoveUser):
        assert decide(user, replace(command, by=passing), NOW)
        return
    with pytest.raises(BeyondCaller):
        decide(user, replace(command, by=passing), NOW)


def test_who_asks_for_a_time_adds_nobody() -> None:
    with pytest.raises(BeyondCaller):
        decide(None, create(by=holding("all", expires_at=NOON)), NOW)


def test_nobody_gives_more_than_they_hold_not_even_to_themselves() -> None:
    operator = after(born("operator", "users.*"))
    for role in ("administrator", "auditor"):
        with pytest.raises(BeyondCaller):
            decide(None, create(by=itself(operator), role=role), NOW)
        with pytest.raises(BeyondCaller):
            decide(operator, asks(UpdateUser, by=itself(operator), role=role), NOW)
    with pytest.raises(BeyondCaller):
        decide(operator, asks(UpdateUser, by=itself(operator), scopes=("users.*", "invoices.read")), NOW)
    assert decide(operator, asks(UpdateUser, by=itself(operator), scopes=()), NOW) == [UserUpdated(scopes=())]


def test_own_tokens_of_somebody_else_are_the_tokens_of_all() -> None:
    one, other = Owner("user", str(ADA)), Owner("user", str(BOB))
    member = Principal(actor=Actor("user", ADA), account=ACCOUNT, scopes=("own.*",), owner=one)
    refuse_beyond(member, ("own.read", "own.*"), owner=one)
    for wanted in ("own.read", "own.*"):
        with pytest.raises(BeyondCaller) as refused:
            refuse_beyond(member, (wanted,), owner=other)
        assert refused.value.facts == {"missing": [wanted]}
    for scopes in (("tokens.*", "users.read"), ("all",)):
        everywhere = replace(member, scopes=scopes)
        refuse_beyond(everywhere, ("own.read", "own.*"), owner=one)  # who sees all tokens sees their own
        refuse_beyond(everywhere, ("own.read", "own.*"), owner=other)
    blind = replace(member, scopes=("tokens.*",))
    refuse_beyond(blind, ("own.read", "own.*"), owner=one)
    refuse_beyond(blind, ("own.rotate",), owner=other)
    refuse_beyond(blind, ("own.read", "own.*"), owner=Owner("service", "backup"))
    for wanted in ("own.read", "own.*"):  # they would show another user to who may see none
        with pytest.raises(BeyondCaller):
            refuse_beyond(blind, (wanted,), owner=other)
    with pytest.raises(BeyondCaller):
        refuse_beyond(replace(member, scopes=("tokens.read",)), ("own.*",), owner=one)
    with pytest.raises(BeyondCaller):  # a token without an owner has no own
        refuse_beyond(replace(member, owner=None), ("own.read",), owner=one)
    with pytest.raises(BeyondCaller):
        decide(None, create(of=BOB, by=replace(member, scopes=("own.*", "scopes.read"))), NOW)


def test_disabling_and_enabling_happen_once() -> None:
    disabled = decide(after(born()), asks(DisableUser, reason="on leave"), NOW)
    assert disabled == [UserDisabled(private=Private(reason="on leave"))]
    assert decide(after(born(), *disabled), asks(DisableUser, reason="again"), NOW) == []
    assert decide(after(born(), *disabled), asks(EnableUser), NOW) == [UserEnabled()]
    assert decide(after(born()), asks(EnableUser), NOW) == []
    assert after(born(), *disabled).standing == "disabled"
    assert after(born(), *disabled, UserEnabled()).standing == "active"
    for command in (DisableUser, RemoveUser):
        with pytest.raises(BadText):
            decide(after(born()), asks(command, reason=" "), NOW)


def test_a_removed_user_leaves_neither_address_nor_second_factor() -> None:
    gone = after(born(), TotpEnrolled(recovery_codes=3), UserRemoved(private=Private(reason="left")))
    assert (gone.standing, gone.name, gone.totp, gone.recovery_codes) == ("removed", None, False, ())


def test_a_change_says_what_changed_and_nothing_else() -> None:
    user = after(born())
    assert decide(user, asks(UpdateUser), NOW) == []
    assert decide(user, asks(UpdateUser, email=EMAIL, role="member", scopes=()), NOW) == []
    [event] = decide(user, asks(UpdateUser, email="ada@new.org", role="auditor", scopes=("a.b",)), NOW)
    assert event == UserUpdated(role="auditor", scopes=("a.b",), private=Private(name="ada@new.org"))
    changed = after(born(), event)
    assert (changed.name, changed.role, changed.scopes, changed.revision) == ("ada@new.org", "auditor", ("a.b",), 2)
    [event] = decide(user, asks(UpdateUser, role="operator"), NOW)
    assert event == UserUpdated(role="operator", scopes=UNSET, private=None)
    assert after(born(), event).name == EMAIL


def test_one_time_codes_come_with_recovery_codes_that_open_once() -> None:
    [enrolled] = decide(after(born()), asks(EnrolTotp, **ENROLMENT), NOW)
    assert enrolled == TotpEnrolled(recovery_codes=3)
    user = after(born(), enrolled)
    assert (user.totp, user.recovery_codes) == (True, (0, 1, 2))
    [used] = decide(user, asks(UseRecoveryCode, index=1), NOW)
    assert used == RecoveryCodeUsed(index=1)
    spent = after(born(), enrolled, used)
    assert spent.recovery_codes == (0, 2)
    for index in (1, 3, -1):
        with pytest.raises(NotFound):
            decide(spent, asks(UseRecoveryCode, index=index), NOW)
    assert decide(spent, asks(RemoveTotp), NOW) == [TotpRemoved()]
    assert decide(after(born()), asks(RemoveTotp), NOW) == []
    bare = after(born(), enrolled, used, TotpRemoved())
    assert (bare.totp, bare.recovery_codes) == (False, ())
    assert after(born(), enrolled, used, enrolled).recovery_codes == (0, 1, 2)


def test_neither_hash_nor_seed_enters_an_event() -> None:
    for command in (create(), asks(ChangePassword, password_hash="$argon2id$"), asks(EnrolTotp, **ENROLMENT)):
        [event] = decide(None if isinstance(command, CreateUser) else after(born()), command, NOW)
        assert "argon2id" not in repr(event)
        assert "sealed" not in repr(event)


def test_another_password_is_told_and_changes_nothing_else() -> None:
    assert decide(after(born()), asks(ChangePassword, password_hash=""), NOW) == [PasswordChanged()]
    before, changed = after(born()), after(born(), PasswordChanged())
    assert replace(changed, revision=1, version=1, at=before.at, updated_at=before.updated_at) == before


@pytest.mark.parametrize(
    "command", [asks(UpdateUser, role="member"), asks(DisableUser, reason="x"), asks(RemoveUser, reason="x")]
)
def test_the_last_active_administrator_stays(command: SubjectCommand) -> None:
    admin = after(born("administrator"))
    for by in (ADMIN, itself(admin), replace(SYSTEM, account=ACCOUNT)):
        for left in (frozenset({ADA}), frozenset[UUID]()):
            with pytest.raises(LastAdministrator):
                decide(admin, replace(command, by=by), Around(at=NOON, administrators=left))
        assert decide(admin, replace(command, by=by), NOW)
    assert lessens_administrators(command)


def test_who_is_no_administrator_or_no_active_one_may_go() -> None:
    alone = Around(at=NOON, administrators=frozenset({BOB}))
    assert decide(after(born()), asks(RemoveUser, reason="left"), alone)
    disabled = after(born("administrator"), UserDisabled())
    assert decide(disabled, asks(RemoveUser, reason="left"), alone)
    assert decide(disabled, asks(UpdateUser, role="member"), alone)
    assert not lessens_administrators(asks(EnableUser))


def test_what_cannot_come_there_is_a_bug_and_no_refusal() -> None:
    for user, event in ((None, UserEnabled()), (after(born()), born())):
        with pytest.raises(ValueError, match="cannot come here"):
            evolve(user, fact(event, 2))
    with pytest.raises(TypeError, match="no such command"):
        decide(after(born()), asks(SubjectCommand), NOW)


def test_what_is_asked_of_a_user_is_asked_of_nothing_else() -> None:
    account = evolve_any(None, fact_about("account", AccountCreated(private=Private(name="Acme"))))
    with pytest.raises(NotFound):
        decide_any(account, asks(EnableUser), NOW)
    with pytest.raises(ValueError, match="cannot come here"):
        evolve_any(account, fact(UserEnabled(), 2))


def fact_about(kind: str, event: Event) -> Fact:
    return replace(fact(event, 1), subject=Subject(kind, ADA))


@dataclass
class House:
    """An account with a few people, of whom anybody may ask anything of anybody."""

    people: dict[UUID, User] = field(default_factory=lambda: {ADA: after(born("administrator"))})
    history: dict[UUID, list[Event]] = field(default_factory=lambda: {ADA: [born("administrator")]})

    @property
    def administrators(self) -> frozenset[UUID]:
        return frozenset(
            user.id for user in self.people.values() if user.role == "administrator" and user.standing == "active"
        )

    def ask(self, who: UUID, command: SubjectCommand) -> tuple[Principal, User | None] | None:
        """The caller and who was asked about, as they were before, if it was done."""
        asker = self.people.get(who)
        if asker is None or asker.standing != "active":
            return None
        by, before = principal_of(asker), self.people.get(command.id)
        around = Around(at=NOON, administrators=self.administrators, emails=self.emails)
        try:
            events = decide(before, replace(command, by=by), around)
        except Refusal:
            return None
        for event in events:
            told = self.history.setdefault(command.id, [])
            told.append(event)
            self.people[command.id] = evolve(self.people.get(command.id), fact(event, len(told), of=command.id))
        return by, before

    @property
    def emails(self) -> dict[str, UUID]:
        return {user.name: user.id for user in self.people.values() if user.name}


roles = st.sampled_from(ROLES)
granted = st.lists(st.sampled_from(["users.*", "own.*", "own.read", "tokens.*", "a.b", "a.*", "all"]), max_size=2)
emails = st.sampled_from(["ada@example.org", "bob@example.org", "eve@example.org"])
fields: dict[type[SubjectCommand], dict[str, st.SearchStrategy[Any]]] = {
    CreateUser: {"number": st.just(1), "email": emails, "role": roles, "scopes": granted.map(tuple),
                 "password_hash": st.just("")},
    UpdateUser: {"email": st.just(UNSET) | emails, "role": st.just(UNSET) | roles,
                 "scopes": st.just(UNSET) | granted.map(tuple)},
    ChangePassword: {"password_hash": st.just("")},
    DisableUser: {"reason": st.just("x")}, EnableUser: {}, RemoveUser: {"reason": st.just("x")},
    EnrolTotp: {name: st.just(value) for name, value in ENROLMENT.items()}, RemoveTotp: {},
    UseRecoveryCode: {"index": st.integers(0, 3)},
}  # fmt: skip


@st.composite
def commands(draw: st.DrawFn) -> SubjectCommand:
    kinds: list[type[SubjectCommand]] = [CreateUser, CreateUser, UpdateUser, UpdateUser, *fields]
    kind = draw(st.sampled_from(kinds))
    said = {name: draw(value) for name, value in fields[kind].items()}
    return asks(kind, of=draw(st.sampled_from(PEOPLE)), **said)


steps = st.lists(st.tuples(st.sampled_from(PEOPLE), commands()), min_size=5, max_size=40)


@settings(max_examples=300)
@drawn(steps)
def test_in_whatever_order_the_laws_hold(asked: list[tuple[UUID, SubjectCommand]]) -> None:
    house = House()
    for who, command in asked:
        gone = {user.id: user for user in house.people.values() if user.standing == "removed"}
        done = house.ask(who, command)
        assert house.administrators, "somebody can always help"
        assert gone.items() <= house.people.items(), "removed is final"
        assert len(house.emails) == sum(user.name is not None for user in house.people.values())
        for user in house.people.values():
            assert user.revision == user.version == len(house.history[user.id])
            assert user.totp or not user.recovery_codes
        if done is not None:
            by, before = done
            state = house.people[command.id]
            if before is None or (state.role, state.scopes) != (before.role, before.scopes):
                assert not missing(by.scopes, _of_all(state.held, same=by.owner == owner_of(state.id), by=by))
            if before is not None and by.actor.id != state.id and state != before:
                assert not missing(by.scopes, _of_all(before.held, same=False, by=by))


def _of_all(scopes: tuple[str, ...], *, same: bool, by: Principal) -> tuple[str, ...]:
    """What a caller has to hold to give these: of own tokens either that, or that of all."""
    return tuple(
        scope
        if same and not missing(by.scopes, (scope,))
        else scope.replace("own.", "tokens.", scope.startswith("own."))
        for scope in scopes
    )


@drawn(roles, granted)
def test_what_a_user_may_do_is_their_role_and_what_they_were_given(role: Role, more: list[str]) -> None:
    may = held(role, tuple(more))
    assert set(may) == {*ROLE_SCOPES[role], *more}
    assert len(set(may)) == len(may)
