"""Durations: Go's vectors, days and weeks, and lengths that have surprised users of other software."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.duration import LONGEST, expiry, length, seconds, spelt
from counterfoil.core.refusals import BadDuration, BadExpiry

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
MICROSECOND, SECOND, MINUTE, HOUR, DAY = (
    timedelta(microseconds=1),
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)

# The vectors of Go's time.ParseDuration (time_test.go) that are not signed and not longer than our century.
GO = {
    "5s": 5 * SECOND,
    "30s": 30 * SECOND,
    "1478s": 1478 * SECOND,
    "5.0s": 5 * SECOND,
    "5.6s": 5.6 * SECOND,
    "5.s": 5 * SECOND,
    ".5s": 0.5 * SECOND,
    "1.004s": 1.004 * SECOND,
    "1.0040s": 1.004 * SECOND,
    "100.00100s": 100.001 * SECOND,
    "10ns": MICROSECOND,
    "11us": 11 * MICROSECOND,
    "12µs": 12 * MICROSECOND,
    "12μs": 12 * MICROSECOND,
    "13ms": 13_000 * MICROSECOND,
    "14s": 14 * SECOND,
    "15m": 15 * MINUTE,
    "16h": 16 * HOUR,
    "3h30m": 3.5 * HOUR,
    "10.5s4m": 4 * MINUTE + 10.5 * SECOND,
    "1h2m3s4ms5us6ns": HOUR + 2 * MINUTE + 3 * SECOND + 4_006 * MICROSECOND,
    "39h9m14.425s": 39 * HOUR + 9 * MINUTE + 14.425 * SECOND,
    "52763797000ns": 52_763_797 * MICROSECOND,
    "9007199254740993ns": 9_007_199_254_741 * MICROSECOND,
    "0.100000000000000000000h": 6 * MINUTE,
    "0.830103483285477580700h": 49 * MINUTE + 48.372540 * SECOND,
}
OURS = {"2h45m": 2.75 * HOUR, "300ms": 0.3 * SECOND, "90d": 90 * DAY, "2w": 14 * DAY, "1w1d": 8 * DAY,
        "8760h": 365 * DAY, "1.5d": 36 * HOUR, "0s": timedelta(0), "36525d": LONGEST}  # fmt: skip
GO_REFUSES = ["", "3", "-", "s", ".", "-.", ".s", "+.s", "\x85\x85", "hello \uffff world"]
WE_REFUSE = ["0", "+5s", "-5s", "forever", "Forever", " 1h", "1h ", "1h 30m", "1H", "1y", "1mo", "1min", "1e3s",
             "0x10s", "1_000s", "1,5h", "٣d", "1h\n", "1..5h", "-0s", "infs", "nans", "1" * 64 + "s"]  # fmt: skip
OVER_A_CENTURY = ["36525d1us", "9223372036854775807ns", "3000000h", "999999999999999999w", "9" * 63 + "w"]


@pytest.mark.parametrize(("text", "lasts"), (GO | OURS).items())
def test_a_duration_has_its_length(text: str, lasts: timedelta) -> None:
    assert length(text) == lasts


@pytest.mark.parametrize("text", GO_REFUSES + WE_REFUSE + OVER_A_CENTURY)
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(BadDuration):
        length(text)


def test_fractions_of_a_second_are_rounded_up() -> None:
    texts = ("0s", "1ns", "999ms", "1s", "1.9s", "1d", "36525d")
    assert [seconds(text) for text in texts] == [0, 1, 1, 1, 2, 86_400, 36_525 * 86_400]


def test_only_zero_is_a_duration_of_nothing() -> None:
    assert [length(text) for text in ("1ns", ".000000001ns", "1000ns", "1001ns")] == [
        MICROSECOND, MICROSECOND, MICROSECOND, 2 * MICROSECOND
    ]  # fmt: skip
    assert length("0ns") == length("0w0s") == timedelta(0)


@given(st.integers(0, 9999), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999_999))
def test_parts_add_up(d: int, h: int, m: int, s: int, us: int) -> None:
    written = f"{d}d{h}h{m}m{s}s{us}us"
    assert length(written) == timedelta(days=d, hours=h, minutes=m, seconds=s, microseconds=us)


@given(st.text() | st.text(alphabet="0123456789.smhdwnu", max_size=80))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        lasts = length(text)
    except BadDuration:
        return
    assert timedelta(0) <= lasts <= LONGEST


def test_a_lifetime_counts_from_now() -> None:
    assert expiry(AT, "90d", None) == AT + 90 * DAY


@pytest.mark.parametrize("text", ["0s", "0h", "0.000s", "0ns"])
def test_a_zero_lifetime_is_refused_because_other_software_reads_it_as_forever(text: str) -> None:
    with pytest.raises(BadDuration, match=f"A lifetime of {text} is zero"):
        expiry(AT, text, None)


@pytest.mark.parametrize("said", ["forever", None])
def test_never_must_be_stated_as_a_word(said: str | None) -> None:
    assert expiry(AT, said, None) is None


def test_a_leap_day_is_a_day() -> None:
    assert expiry(datetime(2028, 2, 28, tzinfo=UTC), "1d", None) == datetime(2028, 2, 29, tzinfo=UTC)
    assert expiry(datetime(2028, 2, 29, tzinfo=UTC), "365d", None) == datetime(2029, 2, 28, tzinfo=UTC)


def test_the_hour_lost_to_summer_time_is_an_hour() -> None:
    winter, summer = timezone(HOUR), timezone(2 * HOUR)
    before = datetime(2026, 3, 29, 1, 30, tzinfo=winter)
    assert expiry(before, "1h", None) == datetime(2026, 3, 29, 3, 30, tzinfo=summer)
    assert expiry(AT, None, before) == datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2027, 1, 1),  # noqa: DTZ001 - the missing zone is the point
        datetime(9999, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime(1969, 12, 31, tzinfo=UTC),
    ],
)
def test_an_invalid_expiry_is_refused(moment: datetime) -> None:
    with pytest.raises(BadExpiry):
        expiry(AT, None, moment)


def test_the_longest_spelling_of_a_second_is_read() -> None:
    assert length("1s".rjust(64, "0")) == SECOND


def test_the_first_and_the_last_possible_expiry_are_accepted() -> None:
    first = datetime(1970, 1, 1, tzinfo=UTC)
    assert expiry(AT, None, first) == first
    last = datetime(9998, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-14)))
    assert expiry(AT, None, last) == last


def test_a_lifetime_and_an_expiry_exclude_each_other() -> None:
    for said in ("1d", "forever"):
        with pytest.raises(BadExpiry):
            expiry(AT, said, AT + DAY)


@pytest.mark.parametrize(
    ("whole", "text"),
    [(604_800, "7d"), (86_400, "1d"), (7_200, "2h"), (90, "90s"), (5_400, "90m"), (0, "0s"), (1, "1s")],
)
def test_seconds_are_written_in_the_shortest_form_and_read_back(whole: int, text: str) -> None:
    assert spelt(whole) == text
    assert seconds(text) == whole
