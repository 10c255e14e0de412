"""A token with an owner never gets, and never uses, more scopes than this user holds."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from core.histories import CREATED, ENDS, JTI, NOON, SECRET, Given, command_of, given
from counterfoil.core.events import Private
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import (
    AlreadyRevoked,
    BeyondCaller,
    BeyondOwner,
    OwnerDisabled,
    Refusal,
    UnknownUser,
    UserGone,
)
from counterfoil.core.subjects.token.acceptance import Context, refusal_for, status_at
from counterfoil.core.subjects.token.commands import (
    Create,
    Erase,
    Exchange,
    Held,
    Renew,
    Resume,
    Revoke,
    Rotate,
    Suspend,
    TokenCommand,
    Update,
)
from counterfoil.core.subjects.token.events import Created, Erased, Exchanged, Revoked, Updated

MEMBER = Context(owner_holds=("own.*", "invoices.read"))
WIDE = replace(CREATED, scopes=("all",))


def create(*scopes: str) -> Create:
    return command_of(Create, number=7, owner=CREATED.owner, name="nightly", secret=SECRET, scopes=scopes)


def bought(story: Given, context: Context, **wanted: Any) -> object:
    command = command_of(Exchange, generation=1, jti=JTI, lifetime_seconds=60, **wanted)
    (event,) = story.when(command, NOON, context)
    assert isinstance(event, Exchanged)
    return event.scopes


def test_a_token_is_issued_with_scopes_that_its_owner_holds() -> None:
    (event,) = given().when(create("own.read", "invoices.read", "self.rotate"), NOON, MEMBER)
    assert isinstance(event, Created)
    assert event.scopes == ("own.read", "invoices.read", "self.rotate")


@pytest.mark.parametrize("beyond", ["all", "tokens.read", "invoices.*", "mail.send"])
def test_no_token_is_issued_or_changed_to_hold_more_than_its_owner(beyond: str) -> None:
    with pytest.raises(BeyondOwner, match=beyond.replace("*", r"\*")):
        given().when(create("own.read", beyond), NOON, MEMBER)
    with pytest.raises(BeyondOwner) as refused:
        given(CREATED).when(command_of(Update, scopes=("own.read", beyond)), NOON, MEMBER)
    assert refused.value.facts == {"missing": [beyond]}


def test_a_token_whose_owner_lost_scopes_can_still_be_renamed_and_narrowed() -> None:
    assert len(given(WIDE).when(command_of(Update, name="other"), NOON, MEMBER)) == 1
    assert len(given(WIDE).when(command_of(Update, name="other", scopes=("all",)), NOON, MEMBER)) == 1
    assert given(WIDE).when(command_of(Update, scopes=("own.read",)), NOON, MEMBER) == [Updated(scopes=("own.read",))]


ADA = Owner("user", "019ca8c1-7b40-7000-8000-3f2a9c51d7e4")


@pytest.mark.parametrize(
    ("owner", "context", "refusal"),
    [
        (ADA, Context(), UnknownUser),
        (replace(ADA, id="ada"), Context(), UnknownUser),
        (replace(ADA, id="2"), Context(), UnknownUser),
        (ADA, replace(MEMBER, owner="removed"), UserGone),
    ],
)
def test_no_token_is_issued_for_a_missing_user(owner: Owner, context: Context, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal) as refused:
        given().when(replace(create(), owner=owner), NOON, context)
    assert refused.value.facts == {"field": "owner.id"}


def test_a_token_may_be_issued_for_a_disabled_user() -> None:
    (event,) = given().when(replace(create(), owner=ADA), NOON, replace(MEMBER, owner="disabled"))
    assert isinstance(event, Created)
    assert event.owner == ADA


def test_a_token_with_an_external_owner_is_bound_by_its_caller_alone() -> None:
    assert len(given().when(create("all"), NOON, Context())) == 1


def test_a_bearer_holds_no_more_than_the_owner_holds_at_the_exchange() -> None:
    assert bought(given(WIDE), MEMBER) == ("own.*", "invoices.read")
    assert bought(given(WIDE), MEMBER, scopes=("own.read",)) == ("own.read",)
    assert bought(given(WIDE), Context(owner_holds=())) == ()
    with pytest.raises(BeyondCaller):
        bought(given(WIDE), MEMBER, scopes=("tokens.read",))
    earlier = Held(scopes=("all",), audience=(), expires_at=ENDS)
    assert bought(given(WIDE), MEMBER, held=earlier) == ("own.*", "invoices.read")


GONE = Context(owner="removed")


@pytest.mark.parametrize("at", [NOON, ENDS])
def test_a_token_of_a_removed_user_is_revoked_and_neither_active_nor_expired(at: datetime) -> None:
    token = given(CREATED).token
    assert status_at(token, at, GONE) == "revoked"
    assert status_at(token, at, Context(owner="disabled")) == status_at(token, at)
    refused = refusal_for(token, 1, at, GONE)
    assert isinstance(refused, OwnerDisabled)
    assert "was removed" in refused.detail


@pytest.mark.parametrize(
    "command",
    [
        command_of(Update, name="x"),
        command_of(Renew),
        command_of(Rotate, secret=SECRET),
        command_of(Suspend),
        command_of(Resume),
    ],
    ids=lambda command: type(command).__name__,
)
def test_no_command_revives_a_token_of_a_removed_user(command: TokenCommand) -> None:
    with pytest.raises(AlreadyRevoked, match="was removed"):
        given(CREATED).when(command, NOON, GONE)


def test_a_token_of_a_removed_user_may_still_be_revoked_and_erased() -> None:
    assert given(CREATED).when(command_of(Revoke, reason="left"), NOON, GONE) == [
        Revoked(private=Private(reason="left"))
    ]
    assert given(CREATED).when(command_of(Erase), NOON, GONE) == [Erased()]
