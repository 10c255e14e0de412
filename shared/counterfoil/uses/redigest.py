"""Digests secrets again when they are used, under the pepper that signs, so that older peppers can be retired."""

from __future__ import annotations

from itertools import islice
from typing import Final

import structlog

from counterfoil.core.secret import Digestible, Peppers
from counterfoil.postgres import peppers as sql
from counterfoil.postgres.connection import Pool
from counterfoil.uses.write_behind import WriteBehind

log = structlog.get_logger()

_REMEMBERED: Final = 10_000


class Redigest(WriteBehind[bytes, sql.Redigested]):
    """`async with Redigest(pool, peppers) as redigest`, then `redigest.note(secret, pepper_id)` for each good secret.

    If a digest is lost before it is written, the secret is digested again at its next use.
    """

    def __init__(self, pool: Pool, peppers: Peppers) -> None:
        super().__init__(self._replace, merge=lambda _, newer: newer, name="digests", key_limit=_REMEMBERED)
        self._pool = pool
        self._peppers = peppers
        self._done: dict[bytes, None] = {}

    def note(self, secret: Digestible, pepper_id: int | None = None) -> None:
        """Note a good secret, and the pepper under which it was found, if that is known."""
        signing = self._peppers.signing
        if pepper_id == signing:
            return
        for old, new in self._peppers.again(secret):
            if old not in self._done:
                self.add(old, (old, new, signing))

    async def _replace(self, digests: dict[bytes, sql.Redigested]) -> None:
        if written := await sql.store_redigested(self._pool, list(digests.values())):
            log.info("secrets_digested_again", secrets=written)
        self._done |= dict.fromkeys(digests)
        for old in list(islice(self._done, max(len(self._done) - _REMEMBERED, 0))):
            del self._done[old]
