"""Facts from the rows of the table `event`."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from counterfoil.core.codec import entry_of, fact_of
from counterfoil.core.events import Fact
from counterfoil.core.kinds import EVENTS


def fact_in(row: asyncpg.Record) -> Fact:
    """Return the fact in a row that has the columns `entry` and `private`."""
    return fact_of(entry_of(row["entry"]), row["private"], EVENTS)


def facts_in(rows: Sequence[asyncpg.Record]) -> list[Fact]:
    """Return the facts in rows, in their order."""
    return [fact_in(row) for row in rows]
