"""The call about those who only looked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

import msgspec

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import Actor


class LogRange(msgspec.Struct, frozen=True, kw_only=True):
    """The positions of the log that were read, from the lowest to the highest; `last` below `first`: nothing was there.

    `filters` counts the calls that used each filter, `none` those that used none.
    """

    first: int
    last: int
    filters: dict[str, int]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one reader has read in the `seconds` before `at`: how often of which kind, and how many rows they saw.

    `tokens` are those that were asked for by name, a hundred at most. `log` is the range of a read of the log.
    """

    at: datetime
    reader: Actor
    calls: dict[str, int]
    shown: int
    tokens: tuple[UUID, ...]
    seconds: int
    log: LogRange | None = None
    version: int


class Reads(Calls):
    """Look at who looked."""

    async def reads(
        self,
        *,
        reader: UUID | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Reading]:
        """Yield who has read what is not their own, the newest first; or the reads of one user or token.

        `since` and `until` are moments, dates, or durations back from now such as 7d.
        """
        query = spelling.said(reader=reader, since=since, until=until)
        async for reading in self.pages("/v1/reads", query, Reading, limit=limit):
            yield reading
