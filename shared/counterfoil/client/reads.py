"""The call that lists reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import Reading


class Reads(Calls):
    """List who read what."""

    async def reads(
        self,
        *,
        reader: UUID | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Reading]:
        """Yield reads of what is not the reader's own, the newest first; with `reader`, those of one user or token.

        `since` and `until` are moments, dates, or durations back from now such as 7d.
        """
        query = spelling.said(reader=reader, since=since, until=until)
        async for reading in self.pages("/v1/reads", query, Reading, limit=limit):
            yield reading
