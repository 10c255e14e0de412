"""What was tried in vain: every one is counted, in memory, and written once a second as a few rows.

However many try, a minute has at most so many rows of an account and kind as there are subjects told apart.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from time import monotonic
from typing import Final, Self
from uuid import UUID

import structlog

from counterfoil.core.principal import NIL
from counterfoil.postgres import attempts as sql
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.uses.repeating import Repeating

log = structlog.get_logger()

PRECISION_SECONDS: Final = 1
SUBJECTS_A_MINUTE: Final = 20
"""Subjects of one account and kind that one process tells apart; the rest is counted under nobody's name."""
_AT_ONCE: Final = 500
_MOST: Final = 10_000
"""Rows that are kept while the database is away; beyond that, subjects are no longer told apart."""

Key = tuple[UUID, str, UUID]


class Attempts:
    """Counts failures and flushes them: `async with Attempts(pool) as attempts`, then `attempts.note(…)`."""

    def __init__(self, pool: Pool, *, observe: Callable[[str], None] = lambda _: None) -> None:
        """`observe` is told the kind of each."""
        self._pool = pool
        self._observe = observe
        self._counts: dict[Key, tuple[int, str]] = {}
        self._named: dict[tuple[UUID, str], set[UUID]] = {}
        self._minute_ends = 0.0
        self._flushing = Repeating(self.flush, seconds=PRECISION_SECONDS, complaint="attempts_not_flushed")

    async def __aenter__(self) -> Self:
        self._flushing.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._flushing.stop()

    def note(self, account: UUID, kind: str, subject: UUID = NIL, *, network: str) -> None:
        """Count one failure of this kind; the subject is a token or a user, never anything that a stranger spelt."""
        self._observe(kind)
        key = (account, kind, self._told_apart(account, kind, subject))
        count, _ = self._counts.get(key, (0, ""))
        self._counts[key] = (count + 1, network)

    def _told_apart(self, account: UUID, kind: str, subject: UUID) -> UUID:
        if monotonic() >= self._minute_ends:
            self._minute_ends = monotonic() + 60
            self._named.clear()
        named = self._named.setdefault((account, kind), set())
        if subject not in named and (len(named) >= SUBJECTS_A_MINUTE or len(self._counts) >= _MOST):
            return NIL
        named.add(subject)
        return subject

    async def flush(self) -> None:
        """Write what was counted; keep it for the next time if the database is away."""
        counts, self._counts = self._counts, {}
        while counts:
            part = dict(islice(counts.items(), _AT_ONCE))
            try:
                await sql.add(self._pool, [(*key, network, count) for key, (count, network) in part.items()])
            except BaseException as error:
                for key, (count, network) in counts.items():
                    self._counts[key] = (self._counts.get(key, (0, ""))[0] + count, network)
                if not isinstance(error, LOST):
                    raise
                log.warning("attempts_kept_back", rows=len(counts), error=type(error).__name__)
                return
            for key in part:
                del counts[key]
