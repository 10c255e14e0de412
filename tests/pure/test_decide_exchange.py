"""Exchanging: a bearer is never more than the secret that bought it."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from counterfoil.commands import Exchange
from counterfoil.events import Exchanged
from counterfoil.refusals import (
    BadScope,
    BadText,
    BeyondCaller,
    Refusal,
    SecretRetired,
    TokenExpired,
    TokenRevoked,
    TokenSuspended,
)
from pure.stories import (
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
    asks,
    given,
    rotated,
)

WIDE = replace(CREATED, scopes=("tokens.*", "mail.send"))
IN_GRACE = (WIDE, (NOON, rotated(2, NOON + HOUR)))


def exchange(generation: int = 1, **fields: Any) -> Exchange:
    return asks(Exchange, **{"generation": generation, "jti": JTI, "lifetime_seconds": 3600, **fields})


def bearer(story: Given, command: Exchange, at: datetime = NOON) -> Exchanged:
    [exchanged] = story.when(command, at)
    assert isinstance(exchanged, Exchanged)
    return exchanged


def test_an_exchange_says_who_bought_what_for_whom_until_when() -> None:
    assert given(WIDE).when(exchange(audience=("mail", "files"), scopes=("tokens.read",))) == [
        Exchanged(jti=JTI, generation=1, audience=("mail", "files"), scopes=("tokens.read",), expires_at=NOON + HOUR)
    ]


def test_asking_for_no_scopes_in_particular_gives_all_and_asking_for_none_gives_none() -> None:
    for asked, bought in ((None, ("tokens.*", "mail.send")), ((), ())):
        assert bearer(given(WIDE), exchange(scopes=asked)).scopes == bought


@pytest.mark.parametrize("wanted", ["all", "tokens", "mail.*", "files.read", "Mail.send"])
def test_a_bearer_never_holds_more_than_its_token(wanted: str) -> None:
    with pytest.raises(BeyondCaller):
        given(WIDE).when(exchange(scopes=("tokens.read", wanted)))


def test_what_is_no_scope_is_refused() -> None:
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
def test_a_bearer_never_outlives_the_secret_that_bought_it(history: Any, generation: int, at: Any, ends: Any) -> None:
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
def test_what_opens_nothing_buys_nothing(history: Any, generation: int, at: Any, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        given(*history).when(exchange(generation), at)


def test_an_exchange_leaves_the_revision_and_changes_only_when_it_was_last_exchanged() -> None:
    before, after = given(WIDE).token, given(WIDE).then(exchange())
    assert after == replace(before, version=2, at=NOON, last_exchanged_at=NOON)
    assert (after.revision, after.updated_at, after.created_at) == (1, BORN, BORN)


def test_a_bearer_of_no_length_is_over_at_once() -> None:
    assert bearer(given(WIDE), exchange(lifetime_seconds=0), NOON + DAY).expires_at == NOON + DAY
