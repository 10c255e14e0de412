"""The call that reads the log from a position on: in order, without gaps and without repeats."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from counterfoil.client import log, spelling
from counterfoil.client.calls import Calls
from counterfoil.client.failures import Unintelligible
from counterfoil.client.log import LogEvent, Mark
from counterfoil.client.losses import Lost
from counterfoil.client.spelling import Ref
from counterfoil.client.streaming import Interrupted, Lines, reply
from counterfoil.client.wire import Answer, Call, Tries, Wire, failure

_PATH: Final = "/v1/events"
_NDJSON: Final = "application/x-ndjson"


class Events(Calls):
    """Read the log."""

    def events(
        self,
        *,
        after: int | Literal["latest"] = 0,
        follow: bool = False,
        token: Ref | None = None,
        user: Ref | None = None,
        subject: UUID | str | None = None,
        kind: str | None = None,
        types: Sequence[str] = (),
        actor: Ref | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        accounts: Literal["all"] | None = None,
    ) -> LogReader:
        """Return the log after a position, to iterate over: `async for event in ledger.events(after=17)`.

        It stops where the log ended at the start; with `follow` it never stops and waits for new events. After a broken
        connection it continues from the last position that was read. `after` is a position, or "latest" for new events
        only. `token`, `user`, `subject`, `kind`, `types`, `actor`, `since` and `until` are filters;
        `accounts="all"` is for the operator of the installation. To continue later, keep `event.position`.
        """
        if after != "latest" and after < 0:
            raise ValueError(f"{after} is not a position in the log; write 0 for its beginning, or the word latest")
        filters = {
            "token": token, "user": user, "subject": subject, "kind": kind, "type": types or None, "actor": actor,
            "since": since, "until": until,
        }  # fmt: skip
        stated = {name: spelling.stated(value) for name, value in filters.items() if value is not None}
        query = stated | ({} if accounts is None else {"accounts": accounts})
        return LogReader(self.wire, query, after=after, follow=follow, filtered=bool(stated))


class LogReader:
    """The log from a position on; a second iteration continues where the first one stopped."""

    def __init__(
        self,
        wire: Wire,
        query: Mapping[str, str | Sequence[str]],
        *,
        after: int | Literal["latest"],
        follow: bool,
        filtered: bool,
    ) -> None:
        self.position = None if after == "latest" else after
        """The position up to which the log was read; None until that is known."""
        self.head: int | None = None
        """The end of the log when the latest connection was made."""
        self._wire, self._query, self._follow, self._filtered = wire, query, follow, filtered
        self._until: int | None = None
        self._lines = 0

    async def __aiter__(self) -> AsyncIterator[LogEvent]:
        tries = Tries(self._wire.timeout_seconds, self._wire.refused_seconds)
        while not self._finished:
            before = self._progress
            try:
                async with reply(self._wire, self._call) as response:
                    self._begin(response.headers)
                    lines = Lines()
                    async for piece in response.content.iter_any():
                        for line in lines.of(piece):
                            entry = self._read(line)
                            if self._beyond(entry):
                                return
                            self.position = entry.position
                            if isinstance(entry, LogEvent):
                                yield entry
                # The last line of a complete response is at the end of the log, even if a filter hides the last event.
                result: Answer | Lost = Lost(f"{self._wire.url} ended its answer too early", doubtful=False)
            except Interrupted as interrupted:
                result = interrupted.result
            if self._progress != before:
                tries = Tries(math.inf if self._follow else self._wire.timeout_seconds, math.inf)
            await self._pause(tries, result)

    @property
    def _call(self) -> Call:
        after = "latest" if self.position is None else str(self.position)
        follow = {"follow": "true"} if self._follow else {}
        # A proxy may hold back a compressed response until it has enough of it.
        unpacked = {"Accept-Encoding": "identity"} if self._follow else {}
        return Call("GET", _PATH, {**self._query, "after": after, **follow}, extra={"Accept": _NDJSON, **unpacked})

    @property
    def _finished(self) -> bool:
        """Whether all events that existed at the start were read; this reader leaves out later ones."""
        return not self._follow and self._until is not None and self._until == self.position

    @property
    def _progress(self) -> tuple[int | None, int | None]:
        """What must change before a broken connection is repeated; when following, any line counts."""
        return self._until, self._lines if self._follow else self.position

    def _begin(self, headers: Mapping[str, str]) -> None:
        self._wire.trouble = ""
        self.head = log.head(headers.get("Log-Head", ""))
        if self.position is None:
            self.position = self.head
        if self.head < self.position:
            raise Unintelligible(
                f"The log ends at position {self.head:,}, but {self.position:,} was read before: this is another log, "
                "or an older copy of it."
            )
        if self._until is None:
            self._until = self.head

    def _read(self, line: bytes) -> LogEvent | Mark:
        """Decode a line; raises Unintelligible if events are missing before it, or it is out of order."""
        self._lines += 1
        entry, before = log.read(line), self.position or 0
        if entry.position is None:
            return Mark(before)
        next_one = before + 1 if isinstance(entry, LogEvent) else before
        if entry.position < next_one or (entry.position > next_one and not self._filtered):
            raise Unintelligible(
                f"After position {before:,} of the log comes {entry.position:,}: events are missing, or out of order."
            )
        return entry

    def _beyond(self, entry: LogEvent | Mark) -> bool:
        """Return whether a line lies beyond the end that was fixed at the start, as it may after a break."""
        if self._follow or self._until is None or (entry.position or 0) <= self._until:
            return False
        self.position = self._until
        return True

    async def _pause(self, tries: Tries, result: Answer | Lost) -> None:
        """Wait before the next connection, or raise the failure that ends the iteration."""
        if self._finished:
            return
        if (pause := tries.pause(result)) is None:
            raise failure(self._call, result)
        self._wire.trouble = result.reason if isinstance(result, Lost) else str(result.refusal)
        await asyncio.sleep(pause)
