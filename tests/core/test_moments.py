"""The forms of a moment that a filter accepts."""

from datetime import UTC, datetime

import pytest

from counterfoil.core.moments import read, zoneless


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-03-01T12:00:00Z", datetime(2027, 3, 1, 12, tzinfo=UTC)),
        ("2027-03-01T12:00:00+02:00", datetime(2027, 3, 1, 10, tzinfo=UTC)),
        ("2027-03-01", datetime(2027, 3, 1, tzinfo=UTC)),
        ("7d", "7d"),
        ("1h30m", "1h30m"),
        ("0s", "0s"),
    ],
)
def test_a_moment_is_a_time_a_date_or_a_duration(text: str, moment: object) -> None:
    assert read(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "7", "-7d", "forever", "9999999d", "2027-02-30", "2027-3-1", "20270301", "2027-03-01T25:00:00"),
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2027-03-01T12:00:00Z and more"),
    ],
)
def test_an_invalid_moment_is_refused_with_valid_forms(text: str) -> None:
    with pytest.raises(ValueError, match="is not a moment; write a time with its zone") as refused:
        read(text)
    assert repr(text[:40]) in str(refused.value)


@pytest.mark.parametrize("text", ["2027-03-01T12:00:00", "2027-03-01 12:00", "2027-03-01t12", "2027-03-01T12:00:00.5"])
def test_a_time_without_a_zone_is_refused_with_a_request_for_the_zone(text: str) -> None:
    wrong = zoneless(text)
    assert wrong == (
        f"{text!r} has no time zone; write the time with its zone, such as 2027-03-01T12:00:00Z or"
        " 2027-03-01T14:00:00+02:00"
    )
    with pytest.raises(ValueError, match="has no time zone") as refused:
        read(text)
    assert str(refused.value) == wrong


@pytest.mark.parametrize("text", ["2027-03-01", "2027-03-01T12:00:00Z", "2027-03-01T12:00+02:00", "7d", "20270301", ""])
def test_an_invalid_time_without_a_zone_is_not_reported_as_one(text: str) -> None:
    assert zoneless(text) is None
