"""Creating a token: its event, its refusals, and that a child never holds more than its caller."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from core.histories import (
    ACCOUNT,
    ADMIN,
    BORN,
    CREATED,
    DAY,
    ENDS,
    NOON,
    SECOND,
    SECRET,
    TOKEN,
    command_of,
    given,
    holding,
)
from counterfoil.core.events import Private
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import (
    BadDuration,
    BadExpiry,
    BadMetadata,
    BadOwner,
    BadScope,
    BadText,
    BeyondCaller,
    Refusal,
)
from counterfoil.core.secret import mint
from counterfoil.core.subjects.account import Policy
from counterfoil.core.subjects.token.acceptance import Context, refusal_for, status_at
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.token.events import Created


def create(**fields: Any) -> Create:
    return command_of(Create, **{"number": 7, "owner": CREATED.owner, "name": "nightly", "secret": SECRET, **fields})


def test_the_created_event_has_every_field_and_no_secret() -> None:
    asked = create(
        scopes=("tokens.read",), lifetime="90d", thresholds=CREATED.thresholds, description="runs at night",
        metadata={"team": "billing"}, dialect="jelastic", cloned_from=UUID(int=5),
    )  # fmt: skip
    assert given().when(asked, BORN) == [
        Created(
            number=7, owner=Owner("application", "billing"), scopes=("tokens.read",), lifetime="90d", expires_at=ENDS,
            thresholds=CREATED.thresholds, hint="cfl_app_Ab12", generation=1, dialect="jelastic",
            cloned_from=UUID(int=5),
            private=Private(name="nightly", description="runs at night", metadata={"team": "billing"}),
        )
    ]  # fmt: skip


def test_a_new_token_has_the_fields_of_its_event() -> None:
    token = given().then(create(scopes=("tokens.read",), lifetime="90d", description="d", metadata={"k": "v"}), BORN)
    assert (token.account, token.id, token.creator, token.status) == (ACCOUNT, TOKEN, ADMIN.actor, "active")
    assert (token.name, token.description, token.metadata) == ("nightly", "d", {"k": "v"})
    assert (token.version, token.revision, token.generation) == (1, 1, 1)
    assert token.created_at == token.updated_at == token.lifetime_start == token.at == BORN
    assert token.last_exchanged_at is None


def test_a_token_without_scopes_holds_none_and_without_a_lifetime_never_expires() -> None:
    token = given().then(create())
    assert token.scopes == ()
    assert token.expires_at is None
    assert token.next_due_at is None
    assert refusal_for(token, 1, datetime(9998, 1, 1, tzinfo=UTC)) is None


def test_an_explicit_forever_is_stored_and_never_expires() -> None:
    token = given().then(create(lifetime="forever"))
    assert (token.lifetime, token.expires_at) == ("forever", None)


@pytest.mark.parametrize("ends", [NOON - DAY, NOON])
def test_an_expiry_in_the_past_is_refused(ends: datetime) -> None:
    with pytest.raises(BadExpiry, match=f"{re.escape(ends.isoformat())} has passed") as refused:
        given().when(create(expires_at=ends), NOON)
    assert refused.value.facts == {"field": "expires_at"}
    assert given().then(create(expires_at=NOON + timedelta(microseconds=1)), NOON).expires_at is not None


def test_an_imported_token_may_be_created_expired() -> None:
    created = given().then(create(expires_at=BORN - DAY, may_have_expired=True), BORN)
    assert (status_at(created, BORN), created.expires_at) == ("expired", BORN - DAY)


def test_the_lifetime_of_an_imported_token_counts_from_its_original_creation() -> None:
    token = given().then(create(lifetime="90d", made_at=NOON - 30 * DAY), NOON)
    assert (token.lifetime, token.expires_at, token.lifetime_start) == ("90d", NOON + 60 * DAY, NOON)
    assert given().then(create(lifetime="forever", made_at=NOON - DAY), NOON).expires_at is None
    assert given().then(create(expires_at=NOON + DAY, made_at=NOON - DAY), NOON).expires_at == NOON + DAY
    context = Context(Policy(default_lifetime="2d"))
    (created,) = given().when(create(lifetime=None, made_at=NOON - DAY), NOON, context)
    assert isinstance(created, Created)
    assert created.expires_at == NOON + 2 * DAY


@pytest.mark.parametrize("age", [90, 91])
def test_an_expired_imported_token_is_not_revived(age: int) -> None:
    with pytest.raises(BadExpiry, match="90d after it was made") as refused:
        given().when(create(lifetime="90d", made_at=NOON - age * DAY), NOON)
    assert refused.value.facts == {"field": "lifetime"}
    imported = replace(SECRET, scheme="sha256")
    with pytest.raises(BadExpiry, match="has passed"):
        given().when(create(expires_at=NOON - DAY, secret=imported), NOON)


def test_a_creation_time_in_the_future_is_refused() -> None:
    with pytest.raises(BadExpiry) as refused:
        given().when(create(lifetime="90d", made_at=NOON + DAY), NOON)
    assert refused.value.facts == {"field": "created_at"}


def test_an_expiry_at_this_very_instant_is_refused() -> None:
    token = given().then(create(expires_at=ENDS))
    assert refusal_for(token, 1, ENDS) is not None
    assert refusal_for(token, 1, ENDS - timedelta(microseconds=1)) is None


def test_an_expiry_is_stored_in_utc() -> None:
    token = given().then(create(expires_at=ENDS.astimezone(timezone(timedelta(hours=14)))))
    assert token.expires_at == ENDS
    assert token.expires_at.tzinfo is UTC


def test_repeated_scopes_are_held_once() -> None:
    assert given().then(create(scopes=("b", "a", "b"))).scopes == ("b", "a")


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"name": ""}, BadText),
        ({"name": " \u3000"}, BadText),
        ({"name": "x" * 256}, BadText),
        ({"description": "a\x00b"}, BadText),
        ({"description": "x" * 32_768}, BadText),
        ({"metadata": {"clé": "v"}}, BadMetadata),
        ({"metadata": {"key": "\u202eevil"}}, BadText),
        ({"scopes": ("*",)}, BadScope),
        ({"scopes": ("tokens.",)}, BadScope),
        ({"lifetime": "0s"}, BadDuration),
        ({"lifetime": "-1h"}, BadDuration),
        ({"lifetime": "101w9999999d"}, BadDuration),
        ({"lifetime": "90d", "expires_at": ENDS}, BadExpiry),
        ({"expires_at": datetime(2026, 5, 1)}, BadExpiry),  # noqa: DTZ001 - the missing zone is the point
        ({"expires_at": datetime(9999, 1, 1, tzinfo=UTC)}, BadExpiry),
        ({"owner": Owner("user", "")}, BadOwner),
        ({"owner": Owner("user", "ada@example.com")}, BadOwner),
        ({"owner": Owner("user", "x" * 129)}, BadOwner),
        ({"owner": Owner("user", "ada\n")}, BadOwner),
        ({"owner": Owner("user", mint("user").plain)}, BadOwner),
    ],
)
def test_an_invalid_creation_is_refused(fields: dict[str, Any], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        given().when(create(**fields))


@pytest.mark.parametrize("wanted", ["tokens.create", "tokens.*", "token", "all", "Mail.send", "files.read"])
def test_a_child_never_holds_a_scope_that_its_caller_lacks(wanted: str) -> None:
    with pytest.raises(BeyondCaller) as refused:
        given().when(create(scopes=("tokens.read", wanted), by=holding("tokens.read", "mail.*")))
    assert refused.value.facts == {"missing": [wanted]}


def test_a_child_may_hold_every_scope_of_its_caller() -> None:
    caller = holding("tokens.*", "mail.send")
    assert given().then(create(scopes=("tokens.read", "tokens.*", "mail.send"), by=caller)).scopes != ()


def test_a_refusal_for_scopes_names_the_first_few() -> None:
    with pytest.raises(BeyondCaller, match=r"hold s0, s1, s2, s3, s4; use a caller") as refused:
        given().when(create(scopes=tuple(f"s{n}" for n in range(99)), by=holding()))
    assert refused.value.facts == {"missing": [f"s{n}" for n in range(20)]}


@pytest.mark.parametrize(
    "lifetime", [{}, {"lifetime": "forever"}, {"lifetime": "2d"}, {"expires_at": NOON + DAY + SECOND}]
)
def test_a_child_never_outlives_its_caller(lifetime: dict[str, Any]) -> None:
    with pytest.raises(BeyondCaller) as refused:
        given().when(create(**lifetime, by=holding("tokens.*", expires_at=NOON + DAY)), NOON)
    assert refused.value.facts == {"latest": "2026-01-12T12:00:00+00:00"}


@pytest.mark.parametrize("lifetime", [{"lifetime": "1d"}, {"expires_at": NOON + DAY}, {"lifetime": "1h"}])
def test_a_child_may_live_as_long_as_its_caller(lifetime: dict[str, Any]) -> None:
    token = given().then(create(**lifetime, by=holding(expires_at=NOON + DAY)), NOON)
    assert refusal_for(token, 1, NOON + DAY) is not None
