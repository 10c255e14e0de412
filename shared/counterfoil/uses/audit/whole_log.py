"""The audit in the database: replay the whole log, and report every row that differs from it.

It reads events, state rows and secrets together in the order of their keys from one snapshot. So it needs little
memory for a log of any length, does not stop writers, and reports no differences because of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from counterfoil.core.chain import Chain, Finding
from counterfoil.postgres.replay import snapshot
from counterfoil.uses.audit.progress import Tally

Key = tuple[UUID, UUID]


class _Keyed(Protocol):
    @property
    def account(self) -> UUID: ...
    @property
    def subject(self) -> UUID: ...


K = TypeVar("K", bound=_Keyed)


class _Merged(Generic[K]):
    """A stream in the order of its keys whose next item can be read ahead."""

    def __init__(self, stream: AsyncIterator[K]) -> None:
        self._stream = stream
        self.head: K | None = None

    async def begin(self) -> None:
        self.head = await anext(self._stream, None)

    @property
    def key(self) -> Key | None:
        return None if self.head is None else (self.head.account, self.head.subject)

    async def of(self, key: Key) -> AsyncIterator[K]:
        while self.head is not None and (self.head.account, self.head.subject) == key:
            yield self.head
            self.head = await anext(self._stream, None)


async def replay(url: str, tally: Tally) -> AsyncIterator[Finding]:
    """Yield every finding, subject by subject."""
    async with snapshot(url) as stored:
        tally.counted(await stored.count())
        events, secrets = _Merged(stored.events()), _Merged(stored.secrets())
        tokens, subjects = _Merged(stored.tokens()), _Merged(stored.subjects())
        streams: tuple[_Merged[_Keyed], ...] = (events, secrets, tokens, subjects)  # type: ignore[assignment] # merged by key alone
        for stream in streams:
            await stream.begin()
        while keys := [stream.key for stream in streams if stream.key is not None]:
            key = min(keys)
            chain = Chain(*key)
            async for event in events.of(key):
                for finding in chain.add(event):
                    tally.findings += 1
                    yield finding
            rows = [row async for row in tokens.of(key)] + [row async for row in subjects.of(key)]
            kept = [(row.generation, row.pepper_id) async for row in secrets.of(key)]
            for finding in (*chain.against(rows), *chain.secrets(kept)):
                tally.findings += 1
                yield finding
            tally.passed(chain.events)
