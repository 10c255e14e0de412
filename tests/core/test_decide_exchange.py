"""Exchanging: a bearer never holds more than the secret for which it is issued."""

from datetime import datetime
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from core.histories import (
    ANOTHER,
    BORN,
    CREATED,
    DAY,
    ENDS,
    HOUR,
    JTI,
    LATER,
    NOON,
    REVOKED,
    SECOND,
    SUSPENDED,
    Given,
    command_of,
    given,
    rotated,
)
from counterfoil.core.refusals import (
    BadScope,
    BadText,
    BeyondAudience,
    BeyondCaller,
    NetworkForbidden,
    Refusal,
    SecretRetired,
    TokenExpired,
    TokenRevoked,
    TokenSuspended,
    UnknownSecret,
)
from counterfoil.core.subjects.account import Policy
from counterfoil.core.subjects.token.acceptance import Context
from counterfoil.core.subjects.token.commands import Exchange, Held, Revoke
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.events import Exchanged

WIDE = replace(CREATED, scopes=("tokens.*", "mail.send"))
IN_GRACE = (WIDE, (NOON, rotated(2, NOON + HOUR)))


def exchange(generation: int = 1, **fields: Any) -> Exchange:
    return command_of(Exchange, **{"generation": generation, "jti": JTI, "lifetime_seconds": 3600, **fields})


def bearer(story: Given, command: Exchange, at: datetime = NOON) -> Exchanged:
    [exchanged] = story.when(command, at)
    assert isinstance(exchanged, Exchanged)
    return exchanged


def test_an_exchange_event_names_token_scopes_subject_and_expiry() -> None:
    assert given(WIDE).when(exchange(audience=("mail", "files"), scopes=("tokens.read",))) == [
        Exchanged(jti=JTI, generation=1, audience=("mail", "files"), scopes=("tokens.read",), expires_at=NOON + HOUR)
    ]


def test_unstated_scopes_give_all_scopes_and_empty_scopes_give_none() -> None:
    for asked, bought in ((None, ("tokens.*", "mail.send")), ((), ())):
        assert bearer(given(WIDE), exchange(scopes=asked)).scopes == bought


@pytest.mark.parametrize("wanted", ["all", "token", "mail.*", "files.read", "Mail.send"])
def test_a_bearer_never_holds_more_than_its_token(wanted: str) -> None:
    with pytest.raises(BeyondCaller):
        given(WIDE).when(exchange(scopes=("tokens.read", wanted)))


def test_an_invalid_scope_is_refused() -> None:
    with pytest.raises(BadScope):
        given(WIDE).when(exchange(scopes=("*",)))


@pytest.mark.parametrize("audience", ["a\nb", "x" * 256, "\ud800"])
def test_an_audience_is_text(audience: str) -> None:
    with pytest.raises(BadText):
        given(WIDE).when(exchange(audience=("mail", audience)))


@pytest.mark.parametrize(
    ("history", "generation", "at", "ends"),
    [
        ((WIDE,), 1, NOON, NOON + HOUR),
        ((WIDE,), 1, ENDS - SECOND, ENDS),
        (IN_GRACE, 1, NOON + HOUR - SECOND, NOON + HOUR),
        (IN_GRACE, 2, NOON + HOUR - SECOND, NOON + 2 * HOUR - SECOND),
        ((replace(WIDE, expires_at=None),), 1, LATER, LATER + HOUR),
    ],
)
def test_a_bearer_never_outlives_the_exchanged_secret(history: Any, generation: int, at: Any, ends: Any) -> None:
    assert bearer(given(*history), exchange(generation), at).expires_at == ends


@pytest.mark.parametrize(
    ("history", "generation", "at", "refusal"),
    [
        ((WIDE,), 1, ENDS, TokenExpired),
        ((WIDE, SUSPENDED), 1, NOON, TokenSuspended),
        ((WIDE, SUSPENDED), 1, LATER, TokenExpired),
        ((WIDE, REVOKED), 1, LATER, TokenRevoked),
        (IN_GRACE, 1, NOON + HOUR, SecretRetired),
        (IN_GRACE, 3, NOON, SecretRetired),
        ((*IN_GRACE, SUSPENDED), 1, NOON + HOUR, SecretRetired),
    ],
)
def test_a_secret_that_is_not_good_cannot_be_exchanged(
    history: Any, generation: int, at: Any, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        given(*history).when(exchange(generation), at)


def test_an_exchange_changes_only_the_time_of_the_last_exchange() -> None:
    before, after = given(WIDE).token, given(WIDE).then(exchange())
    assert after == replace(before, version=2, at=NOON, last_exchanged_at=NOON)
    assert (after.revision, after.updated_at, after.created_at) == (1, BORN, BORN)


def test_a_bearer_without_a_lifetime_expires_at_once() -> None:
    assert bearer(given(WIDE), exchange(lifetime_seconds=0), NOON + DAY).expires_at == NOON + DAY


BEARER = Held(("tokens.read", "mail.*", "mail.send"), ("mail", "files"), NOON + HOUR)
ACTING = replace(ANOTHER, expires_at=NOON + HOUR / 2)


def test_a_bearer_exchanged_for_a_bearer_is_at_most_as_good() -> None:
    bought = bearer(given(WIDE), exchange(held=BEARER), NOON + HOUR / 2)
    assert (bought.scopes, bought.audience) == (("tokens.read", "mail.send"), BEARER.audience)
    assert bought.expires_at == BEARER.expires_at
    less = bearer(given(WIDE), exchange(held=BEARER, scopes=("mail.send",), audience=("files",), lifetime_seconds=60))
    assert (less.scopes, less.audience, less.expires_at) == (("mail.send",), ("files",), NOON + HOUR / 60)


@pytest.mark.parametrize("wanted", ["tokens.*", "tokens.create", "mail.*", "files.read"])
def test_a_bearer_gets_no_scope_that_it_or_its_token_lacks(wanted: str) -> None:
    with pytest.raises(BeyondCaller):
        given(WIDE).when(exchange(held=BEARER, scopes=(wanted,)))


def test_a_bearer_gets_no_bearer_for_another_audience() -> None:
    with pytest.raises(BeyondAudience):
        given(WIDE).when(exchange(held=BEARER, audience=("files", "orders")))


def test_an_expired_bearer_cannot_be_exchanged() -> None:
    with pytest.raises(TokenExpired):
        given(WIDE).when(exchange(held=BEARER), BEARER.expires_at)


def test_a_bearer_cannot_be_exchanged_after_its_secret_has_ended() -> None:
    with pytest.raises(SecretRetired):
        given(*IN_GRACE).when(exchange(held=replace(BEARER, expires_at=LATER)), NOON + HOUR)


def test_an_exchange_event_names_the_actor_and_no_bearer_outlives_the_actor() -> None:
    chain = (ACTING.actor.id, UUID(int=9))
    bought = bearer(given(WIDE), exchange(by=ACTING, actors=chain))
    assert (bought.actors, bought.expires_at, bought.scopes) == (chain, ACTING.expires_at, WIDE.scopes)
    assert bearer(given(WIDE), exchange(by=ANOTHER, actors=chain)).expires_at == NOON + HOUR
    with pytest.raises(TokenExpired):
        given(WIDE).when(exchange(by=replace(ACTING, expires_at=NOON), actors=chain))


def test_a_token_cannot_act_for_another_account() -> None:
    stranger = replace(ACTING, account=UUID(int=5))
    with pytest.raises(UnknownSecret):
        given(WIDE).when(exchange(by=stranger, actors=(stranger.actor.id,)))
    with pytest.raises(UnknownSecret):  # and does not reveal that the secret was replaced
        given(*IN_GRACE).when(exchange(by=stranger, actors=(stranger.actor.id,)), NOON + HOUR)


def test_the_networks_of_the_account_apply_to_an_exchange() -> None:
    context = Context(Policy(networks=("192.0.2.0/24",)))
    for address in (None, ip_address("198.51.100.1")):
        with pytest.raises(NetworkForbidden):
            decide(given(WIDE).state, exchange(address=address), NOON, context)
    assert decide(given(WIDE).state, exchange(address=ip_address("192.0.2.9")), NOON, context)


@pytest.mark.parametrize(
    ("generation", "at", "ends"),
    [(2, NOON, True), (1, NOON, True), (1, NOON + HOUR, False), (2, LATER, True), (3, NOON, False)],
)
def test_a_secret_revokes_its_token_only_while_it_is_good(generation: int, at: datetime, ends: bool) -> None:
    story = given(*IN_GRACE, SUSPENDED)
    assert bool(story.when(command_of(Revoke, reason="leaked", generation=generation), at)) is ends
