"""Counts failed attempts in memory, and writes the counts once a second as a few rows.

However many attempts fail, one minute adds at most `SUBJECTS_A_MINUTE` and one rows for an account and kind.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final, Self
from uuid import UUID

from counterfoil.core.principal import NIL
from counterfoil.postgres import attempts as sql
from counterfoil.postgres.connection import Pool
from counterfoil.uses.write_behind import WriteBehind

SUBJECTS_A_MINUTE: Final = 20
"""Subjects of one account and kind that one process distinguishes; the others are counted without a subject."""
_KEY_LIMIT: Final = 10_000
"""Beyond so many unwritten counts no further subjects are distinguished."""

_Key = tuple[UUID, str, UUID]
"""Account, kind and subject."""
_Count = tuple[int, str]
"""How many attempts failed, and the network of the last one."""


class Attempts:
    """Counts failures: `async with Attempts(pool) as attempts`, then `attempts.note(…)`."""

    def __init__(self, pool: Pool, *, observe: Callable[[str], None] = lambda _: None) -> None:
        """Call `observe` with the kind of each failure."""
        self._pool = pool
        self._observe = observe
        self._waiting: WriteBehind[_Key, _Count] = WriteBehind(self._write, merge=_sum, name="attempts")
        self._subjects: dict[tuple[UUID, str], set[UUID]] = {}
        self._minute_ends = 0.0

    async def __aenter__(self) -> Self:
        await self._waiting.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._waiting.__aexit__()

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, account: UUID, kind: str, subject: UUID = NIL, *, network: str) -> None:
        """Count one failure of this kind. The subject is a token or a user, never a text that a stranger sent."""
        self._observe(kind)
        self._waiting.add((account, kind, self._distinguished(account, kind, subject)), (1, network))

    async def flush(self) -> None:
        """Write the counts now."""
        await self._waiting.flush()

    def _distinguished(self, account: UUID, kind: str, subject: UUID) -> UUID:
        if monotonic() >= self._minute_ends:
            self._minute_ends = monotonic() + 60
            self._subjects.clear()
        subjects = self._subjects.setdefault((account, kind), set())
        if subject not in subjects and (len(subjects) >= SUBJECTS_A_MINUTE or len(self) >= _KEY_LIMIT):
            return NIL
        subjects.add(subject)
        return subject

    async def _write(self, counts: dict[_Key, _Count]) -> None:
        await sql.add(self._pool, [(*key, network, count) for key, (count, network) in counts.items()])


def _sum(older: _Count, newer: _Count) -> _Count:
    return older[0] + newer[0], newer[1]
