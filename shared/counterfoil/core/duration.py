"""Durations as people and vendors write them: Go's units (`2h45m`, `300ms`) and days and weeks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Final

from counterfoil.core.refusals import BadDuration, BadExpiry

FOREVER: Final = "forever"
LONGEST: Final = timedelta(days=36_525)
"""A hundred years: longer lifetimes are spelled `forever`."""
LENGTH_LIMIT: Final = 64
"""Characters; 28 digits of precision are enough for every duration that is allowed."""

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9999

_UNITS: Final = {
    "ns": Decimal("0.001"), "us": Decimal(1), "µs": Decimal(1), "μs": Decimal(1), "ms": Decimal(1_000),
    "s": Decimal(1_000_000), "m": Decimal(60_000_000), "h": Decimal(3_600_000_000),
    "d": Decimal(86_400_000_000), "w": Decimal(604_800_000_000),
}  # fmt: skip
"""Microseconds in each unit (Go's time.ParseDuration, plus d and w)."""
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w)")

_SHAPE: Final = re.compile(rf"(?:{_PART.pattern})+")


def length(text: str, *, field: str = "lifetime") -> timedelta:
    """Return how long the text lasts, zero or more, or raise BadDuration naming the field; `forever` has no length.

    Rounded up to the microsecond, so that a duration above zero never becomes zero.
    """
    if len(text) > LENGTH_LIMIT or not _SHAPE.fullmatch(text):
        raise BadDuration(f"{text[:LENGTH_LIMIT]!r} is not a duration. {BadDuration.__doc__}", field=field)
    micros = sum((Decimal(part[1]) * _UNITS[part[2]] for part in _PART.finditer(text)), Decimal(0))
    if micros > LONGEST // timedelta(microseconds=1):
        raise BadDuration(f"{text!r} is longer than a hundred years; use the word forever.", field=field)
    return timedelta(microseconds=ceil(micros))


def seconds(text: str, *, field: str = "lifetime") -> int:
    """Return the length in whole seconds, rounded up."""
    return ceil(length(text, field=field) / timedelta(seconds=1))


def spelt(whole_seconds: int) -> str:
    """Return the shortest spelling of a number of seconds: 604800 is 7d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if whole_seconds and whole_seconds % size == 0:
            return f"{whole_seconds // size}{unit}"
    return f"{whole_seconds}s"


def expiry(at: datetime, lifetime: str | None, expires_at: datetime | None) -> datetime | None:
    """Return when a lifetime that starts at `at` ends; None means never, and callers state it as `forever`.

    A length of zero is refused: in other systems 0 means "never" or "at once", so callers could expect either.
    """
    if expires_at is not None:
        if lifetime is not None:
            raise BadExpiry(
                "Give a lifetime such as 90d or an expiry such as 2027-03-01T12:00:00Z, not both.", field="expires_at"
            )
        if expires_at.tzinfo is None:
            raise BadExpiry("An expiry needs a time zone, such as the Z in 2027-03-01T12:00:00Z.", field="expires_at")
        if not _FIRST_YEAR <= expires_at.year < _LAST_YEAR:
            raise BadExpiry(
                f"The expiry {expires_at.isoformat()} is not between the years {_FIRST_YEAR} and {_LAST_YEAR}; "
                "for none, give the lifetime forever.", field="expires_at",
            )  # fmt: skip
        return expires_at.astimezone(UTC)
    if lifetime is None or lifetime == FOREVER:
        return None
    lasts = length(lifetime)
    if not lasts:
        raise BadDuration(
            f"A lifetime of {lifetime} is zero; give one such as 90d, the word forever, or an expiry.", field="lifetime"
        )
    return at + lasts


def refuse_past(at: datetime, expires_at: datetime | None) -> None:
    """Raise BadExpiry if an expiry is not in the future."""
    if expires_at is not None and expires_at <= at:
        raise BadExpiry(
            f"The expiry {expires_at.isoformat()} has passed; state one that is still to come, or a lifetime such as "
            "90d. To end a token, revoke it.",
            field="expires_at",
        )
