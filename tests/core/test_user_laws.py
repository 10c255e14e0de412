"""Laws of users that hold after every command, of any caller, in any order."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from core.histories import NOON
from core.user_fixtures import ADA, ENROLMENT, PEOPLE, after, born, command_of, fact
from counterfoil.core.events import Event
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import Refusal
from counterfoil.core.scopes import missing
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.user import User, UserContext, decide, evolve, held, owner_of, principal_of
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
from counterfoil.core.subjects.user_events import ROLE_SCOPES, Role


@dataclass
class House:
    """An account with a few users, each of whom may command anything about any other."""

    people: dict[UUID, User] = field(default_factory=lambda: {ADA: after(born("administrator"))})
    history: dict[UUID, list[Event]] = field(default_factory=lambda: {ADA: [born("administrator")]})

    @property
    def administrators(self) -> frozenset[UUID]:
        return frozenset(
            user.id for user in self.people.values() if user.role == "administrator" and user.status == "active"
        )

    def ask(self, who: UUID, command: Command) -> tuple[Principal, User | None] | None:
        """The caller and the target before the command, if it succeeded."""
        asker = self.people.get(who)
        if asker is None or asker.status != "active":
            return None
        by, before = principal_of(asker), self.people.get(command.id)
        context = UserContext(at=NOON, administrators=self.administrators, emails=self.emails)
        try:
            events = decide(before, replace(command, by=by), context)
        except Refusal:
            return None
        for event in events:
            told = self.history.setdefault(command.id, [])
            told.append(event)
            self.people[command.id] = evolve(self.people.get(command.id), fact(event, len(told), of=command.id))
        return by, before

    @property
    def emails(self) -> dict[str, frozenset[UUID]]:
        return {user.name: frozenset({user.id}) for user in self.people.values() if user.name}


roles = st.sampled_from(tuple(ROLE_SCOPES))
granted = st.lists(st.sampled_from(["users.*", "own.*", "own.read", "tokens.*", "a.b", "a.*", "all"]), max_size=2)
emails = st.sampled_from(["ada@example.org", "bob@example.org", "eve@example.org"])
fields: dict[type[Command], dict[str, st.SearchStrategy[Any]]] = {
    CreateUser: {"number": st.just(1), "email": emails, "role": roles, "scopes": granted.map(tuple),
                 "password_hash": st.just("")},
    UpdateUser: {"email": st.just(UNSET) | emails, "role": st.just(UNSET) | roles,
                 "scopes": st.just(UNSET) | granted.map(tuple)},
    ChangePassword: {"password_hash": st.just("")},
    DisableUser: {"reason": st.just("x")}, EnableUser: {}, RemoveUser: {"reason": st.just("x")},
    EnrolTotp: {name: st.just(value) for name, value in ENROLMENT.items()}, RemoveTotp: {},
    UseRecoveryCode: {"index": st.integers(0, 3), "digest": st.just(b"")},
}  # fmt: skip


@st.composite
def commands(draw: st.DrawFn) -> Command:
    kinds: list[type[Command]] = [CreateUser, CreateUser, UpdateUser, UpdateUser, *fields]
    kind = draw(st.sampled_from(kinds))
    said = {name: draw(value) for name, value in fields[kind].items()}
    return command_of(kind, of=draw(st.sampled_from(PEOPLE)), **said)


steps = st.lists(st.tuples(st.sampled_from(PEOPLE), commands()), min_size=5, max_size=40)


@drawn(steps)
def test_after_any_commands_the_laws_hold(asked: list[tuple[UUID, Command]]) -> None:
    house = House()
    for who, command in asked:
        gone = {user.id: user for user in house.people.values() if user.status == "removed"}
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
    """The scopes that a caller needs to give these: for own tokens either the own scope or that for all tokens."""
    return tuple(
        scope
        if same and not missing(by.scopes, (scope,))
        else scope.replace("own.", "tokens.", scope.startswith("own."))
        for scope in scopes
    )


@drawn(roles, granted)
def test_a_user_holds_the_scopes_of_the_role_and_the_added_ones(role: Role, more: list[str]) -> None:
    may = held(role, tuple(more))
    assert set(may) == {*ROLE_SCOPES[role], *more}
    assert len(set(may)) == len(may)
