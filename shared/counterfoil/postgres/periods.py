"""SQL for the moments and periods of filters; a duration is counted back from the database's time."""

from __future__ import annotations

from datetime import datetime

import msgspec

from counterfoil.core.duration import length
from counterfoil.core.moments import Moment


class Period(msgspec.Struct, frozen=True):
    """From one moment, inclusive, to another, exclusive; None is open."""

    since: Moment | None = None
    until: Moment | None = None


ALWAYS = Period()


def instant(stated: Moment, arguments: list[object], direction: str = "-") -> str:
    """Return the SQL for a moment, and add its value to the arguments."""
    if isinstance(stated, datetime):
        arguments.append(stated)
        return f"${len(arguments)}"
    arguments.append(length(stated))
    return f"(statement_timestamp() {direction} ${len(arguments)}::interval)"


def during(column: str, period: Period, arguments: list[object], *, lasting: str = "0") -> str:
    """Return the conditions on a time, each after an `and`."""
    found = ""
    if period.since is not None:
        found += f" and {column} >= {instant(period.since, arguments)}::timestamptz - interval '{lasting}'"
    if period.until is not None:
        found += f" and {column} < {instant(period.until, arguments)}::timestamptz"
    return found
