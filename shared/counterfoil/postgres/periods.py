"""Moments and periods as filters state them, in SQL: a duration is so long before the database's own time."""

from __future__ import annotations

from datetime import datetime

import msgspec

from counterfoil.core.duration import length
from counterfoil.core.moments import Moment


class Period(msgspec.Struct, frozen=True):
    """From a moment on, up to but without another; None is open."""

    since: Moment | None = None
    until: Moment | None = None


ALWAYS = Period()


def instant(stated: Moment, arguments: list[object], direction: str = "-") -> str:
    """Return the SQL for a moment; its value is added to the arguments."""
    if isinstance(stated, datetime):
        arguments.append(stated)
        return f"${len(arguments)}"
    arguments.append(length(stated))
    return f"(statement_timestamp() {direction} ${len(arguments)}::interval)"


def during(column: str, period: Period, arguments: list[object], *, lasting: str = "0") -> str:
    """Return what has to hold of a time, each condition after an `and`: what lasts so long ends so much later."""
    found = ""
    if period.since is not None:
        found += f" and {column} >= {instant(period.since, arguments)}::timestamptz - interval '{lasting}'"
    if period.until is not None:
        found += f" and {column} < {instant(period.until, arguments)}::timestamptz"
    return found
