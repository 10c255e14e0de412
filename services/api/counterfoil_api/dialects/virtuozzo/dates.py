"""Dates of the Virtuozzo API: `2030-01-31 00:00:00`, in UTC and to the second."""

import re
from datetime import UTC, datetime
from typing import Final

from counterfoil.core.refusals import BadExpiry

FORM: Final = "%Y-%m-%d %H:%M:%S"
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}:[0-9]{2})?")


def date_of(moment: datetime | None) -> str | None:
    """Return a time in this form."""
    return None if moment is None else moment.astimezone(UTC).strftime(FORM)


def expiry(text: str) -> datetime | None:
    """Return the time of a text; a date alone is its midnight. None for no text. Raises BadExpiry."""
    if not text:
        return None
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise BadExpiry("expiresAt has to be a time in UTC such as 2030-01-31 00:00:00.", field="expiresAt")
