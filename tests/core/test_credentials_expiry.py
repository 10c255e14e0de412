"""When credentials end by themselves, and from when on that is near."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from core.histories import BORN, CREATED, DAY, ENDS, HOUR, NOON, SECOND, command_of, given, rotated
from counterfoil.core.subjects.token.commands import Renew
from counterfoil.core.subjects.token.credentials_expiry import CredentialsExpiry, expiry_of


def test_an_end_is_near_from_the_first_notice_on() -> None:
    token = given(CREATED).token
    for at, is_near in ((NOON, False), (ENDS - 30 * DAY - SECOND, False), (ENDS - 30 * DAY, True), (ENDS, True)):
        assert expiry_of(token, 1, at) == CredentialsExpiry(at=ENDS, is_near=is_near, is_replaced=False), at


@pytest.mark.parametrize(("lifetime", "near_days"), [(31 * DAY, 30), (30 * DAY, 7), (7 * DAY, 1), (DAY, 0), (HOUR, 0)])
def test_a_notice_counts_only_if_the_lifetime_is_longer(lifetime: timedelta, near_days: int) -> None:
    end = BORN + lifetime
    token = given(replace(CREATED, expires_at=end)).token
    for at, is_near in ((end - near_days * DAY - SECOND, False), (end - near_days * DAY, True)):
        assert expiry_of(token, 1, at) == CredentialsExpiry(at=end, is_near=is_near, is_replaced=False), at


def test_the_end_of_a_session_is_near_only_when_it_comes() -> None:
    token = given(replace(CREATED, dialect="native.session")).token
    assert expiry_of(token, 1, ENDS - HOUR) == CredentialsExpiry(at=ENDS, is_near=False, is_replaced=False)


def test_a_renewal_begins_another_lifetime() -> None:
    story = given(CREATED)
    renewed = story.then(command_of(Renew, lifetime="20d"), ENDS - HOUR)
    for at, is_near in ((ENDS, False), (ENDS - HOUR + 13 * DAY, True)):
        assert expiry_of(renewed, 1, at) == CredentialsExpiry(
            at=ENDS - HOUR + 20 * DAY, is_near=is_near, is_replaced=False
        )


def test_a_replaced_secret_ends_with_its_grace_and_that_is_near() -> None:
    for created, end in ((CREATED, ENDS), (replace(CREATED, expires_at=None), None)):
        token = given(created, rotated(2, NOON + DAY)).token
        assert expiry_of(token, 1, NOON) == CredentialsExpiry(at=NOON + DAY, is_near=True, is_replaced=True)
        assert (found := expiry_of(token, 2, NOON)) is None or found == CredentialsExpiry(
            at=ENDS, is_near=False, is_replaced=False
        )
        assert (found is None) == (end is None)


def test_a_token_that_never_expires_has_no_end() -> None:
    assert expiry_of(given(replace(CREATED, expires_at=None)).token, 1, ENDS) is None
