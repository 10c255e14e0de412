"""Counts failed attempts in memory, and writes the counts once a second as a few rows.

However many attempts fail, one minute adds at most `SUBJECTS_A_MINUTE` and one rows for an account and kind.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final
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


class Attempts(WriteBehind[_Key, _Count]):
    """Counts failures: `async with Attempts(pool) as attempts`, then `attempts.note(…)`."""

    def __init__(self, pool: Pool, *, observe: Callable[[str], None] = lambda _: None) -> None:
        """Call `observe` with the kind of each failure."""
        super().__init__(self._add_to_rows, merge=_sum, name="attempts")
        self._pool = pool
        self._observe = observe
        self._subjects: dict[tuple[UUID, str], set[UUID]] = {}
        self._minute_ends = 0.0

    def note(self, account: UUID, kind: str, subject: UUID = NIL, *, network: str) -> None:
        """Count one failure of this kind. The subject is a token or a user, never a text that a stranger sent."""
        self._observe(kind)
        self.add((account, kind, self._distinguished(account, kind, subject)), (1, network))

    def _distinguished(self, account: UUID, kind: str, subject: UUID) -> UUID:
        if monotonic() >= self._minute_ends:
            self._minute_ends = monotonic() + 60
            self._subjects.clear()
        subjects = self._subjects.setdefault((account, kind), set())
        if subject not in subjects and (len(subjects) >= SUBJECTS_A_MINUTE or len(self) >= _KEY_LIMIT):
            return NIL
        subjects.add(subject)
        return subject

    async def _add_to_rows(self, counts: dict[_Key, _Count]) -> None:
        await sql.add(self._pool, [(*key, network, count) for key, (count, network) in counts.items()])


def _sum(older: _Count, newer: _Count) -> _Count:
    return older[0] + newer[0], newer[1]
