"""Secrets that are used are kept under the pepper that signs as well, so that the ones before it are needed no more."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import Final, Self

import structlog

from counterfoil.core.secret import Digestible, Peppers
from counterfoil.postgres import peppers as sql
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.uses.repeating import Repeating

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0
_AT_ONCE: Final = 500
_REMEMBERED: Final = 10_000


class Redigest:
    """`async with Rekeying(pool, peppers) as again`, then `again.note(secret, pepper_id)` of whatever was good.

    Nobody waits for it: a secret that was missed today is kept again when it is used next.
    """

    def __init__(self, pool: Pool, peppers: Peppers) -> None:
        self._pool = pool
        self._peppers = peppers
        self._noted: dict[bytes, sql.Again] = {}
        self._done: dict[bytes, None] = {}
        self._writing = Repeating(self._write_as_a_favour, seconds=EVERY_SECONDS, complaint="secrets_not_kept_again")

    async def __aenter__(self) -> Self:
        self._writing.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._writing.stop()

    def note(self, secret: Digestible, pepper_id: int | None = None) -> None:
        """Say that a secret was good, and under which pepper it was found, if that is known."""
        signing = self._peppers.signing
        if pepper_id == signing:
            return
        for old, new in self._peppers.again(secret):
            if old not in self._done:
                self._noted[old] = (old, new, signing)

    async def write(self) -> None:
        """Keep what was noted; what cannot be is noted again when it is used again."""
        noted, self._noted = self._noted, {}
        while part := dict(islice(noted.items(), _AT_ONCE)):
            kept = await sql.keep_again(self._pool, list(part.values()))
            if kept:
                log.info("secrets_kept_again", secrets=kept)
            for old in part:
                del noted[old]
                self._done[old] = None
        for old in list(islice(self._done, max(len(self._done) - _REMEMBERED, 0))):
            del self._done[old]

    async def _write_as_a_favour(self) -> None:
        with suppress(*LOST):  # said by whoever has to answer somebody
            await self.write()
