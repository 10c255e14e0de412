"""What a filter may state as a moment."""

from datetime import UTC, datetime

import pytest

from counterfoil.moments import read


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
        *("", "soon", "7", "-7d", "forever", "9999999d", "2027-02-30", "2027-3-1", "20270301", "2027-03-01T12:00:00"),
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2027-03-01T12:00:00Z and more"),
    ],
)
def test_what_is_no_moment_is_refused_with_forms_that_are_right(text: str) -> None:
    with pytest.raises(ValueError, match="is not a moment; write a time with its zone") as refused:
        read(text)
    assert repr(text[:40]) in str(refused.value)
