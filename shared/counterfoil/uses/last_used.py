"""Counts in memory when each token is used, and writes the counts once a second.

While a rotation's grace lasts, the uses of both secrets are also counted by network.

After a clean stop no use is missing; a crash loses at most the last second. Times are exact. A count may be too high,
never too low, where the connection broke between a write and its answer.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Protocol
from uuid import UUID

from counterfoil.postgres import last_used as sql
from counterfoil.postgres import rotation_uses
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.lookup import Seen
from counterfoil.uses.write_behind import WriteBehind

PRECISION_SECONDS: Final = 1
"""How far `last_used_at` may lag behind."""

_Key = tuple[UUID, UUID, date, int]
"""Account, token, day and generation."""
_Count = tuple[int, datetime]
"""How often a token was used, and when last."""


class Graced(Protocol):
    """The fields of a token that say whether its previous secret is in its grace; a state and a look-up have them."""

    @property
    def account(self) -> UUID: ...
    @property
    def id(self) -> UUID: ...
    @property
    def generation(self) -> int: ...
    @property
    def previous_until(self) -> datetime | None: ...


class Uses(WriteBehind[_Key, _Count]):
    """Counts verifications: `async with Uses(pool) as uses`, then `uses.note(seen, generation)`."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(self._add_to_rows, merge=_sum, name="uses", seconds=PRECISION_SECONDS)
        self._pool = pool

    def note(self, seen: Seen, generation: int) -> None:
        """Count one verification of a secret or bearer of this generation."""
        self.add((seen.account, seen.id, seen.at.date(), generation), (1, seen.at))

    async def _add_to_rows(self, counts: dict[_Key, _Count]) -> None:
        await sql.add(self._pool, [(*key, *count) for key, count in counts.items()])


_RotationKey = tuple[UUID, UUID, int, int, str]
"""Account, token, the generation that the rotation made, that of the used secret, and the network."""


class RotationUses(WriteBehind[_RotationKey, _Count]):
    """Counts uses of both secrets of a token while its previous one is accepted."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(self._add_to_rows, merge=_sum, name="rotation_uses", seconds=PRECISION_SECONDS)
        self._pool = pool

    def note(self, token: Graced, generation: int, *, at: datetime, network: str) -> None:
        """Count one use of the secret of this generation, or of a bearer of it; outside of a grace do nothing."""
        if token.previous_until is not None and at < token.previous_until:
            self.add((token.account, token.id, token.generation, generation, network), (1, at))

    async def _add_to_rows(self, counts: dict[_RotationKey, _Count]) -> None:
        await rotation_uses.add(self._pool, [(*key, *count) for key, count in counts.items()])


def _sum(older: _Count, newer: _Count) -> _Count:
    return older[0] + newer[0], max(older[1], newer[1])
