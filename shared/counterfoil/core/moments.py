"""Moments as callers state them: a time, a date, or (in filters) a duration from now or before now.

A time without a zone is always refused, with the same message: it could be any of 26 hours.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from counterfoil.core.duration import length
from counterfoil.core.refusals import BadDuration

Moment = datetime | str
"""A text is a duration; the reader turns it into a moment by its own clock."""
MEANING: Final = "A time such as 2027-03-01T12:00:00Z, a date (from its first instant in UTC), or a duration:"
"""For the API's document; what a duration means depends on what is compared."""
EXAMPLE: Final = "2027-03-01T12:00:00Z"
DATE_EXAMPLE: Final = "2027-03-01"
_OFFSET_EXAMPLE: Final = "2027-03-01T14:00:00+02:00"
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_AND_HOUR: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}.*")
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


def stated(text: str) -> datetime | None:
    """Return the moment that a time with its zone or a date states, in UTC; None if the text is neither."""
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        return msgspec.convert(text, _Time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def zoneless(text: str) -> str | None:
    """Return the error for a time without a zone, with a correct example; None for any other text."""
    try:
        if not _DAY_AND_HOUR.fullmatch(text) or datetime.fromisoformat(text).tzinfo is not None:
            return None
    except ValueError:
        return None
    return f"{text!r} has no time zone; write the time with its zone, such as {EXAMPLE} or {_OFFSET_EXAMPLE}"


def read(text: str) -> Moment:
    """Parse a moment, a time in UTC, or raise a ValueError that says what is allowed."""
    if (moment := stated(text)) is not None:
        return moment
    if (wrong := zoneless(text)) is not None:
        raise ValueError(wrong)
    try:
        length(text)
    except BadDuration:
        raise ValueError(
            f"{text[:40]!r} is not a moment; write a time with its zone such as {EXAMPLE}, "
            f"a date such as {DATE_EXAMPLE}, or a duration such as 7d"
        ) from None
    return text
