"""The keys that sign and verify bearers. Each process keeps them in memory and reads them again after a change."""

import asyncio
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import Final

import structlog

from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.refusals import CredentialsRefused, Refusal, StaleRevision, Unavailable
from counterfoil.core.subjects.signing_key_events import ExtendBearerLifetime, PublishKey
from counterfoil.core.subjects.signing_keys import RING, Ring
from counterfoil.door import Door
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.gather import Gather
from counterfoil.postgres.signing_keys import StoredRing, stored_ring
from counterfoil.uses.bearers import Claims, KeyRing, PublicJwk, key_ring, public_key
from counterfoil.uses.key_encryption import Sealing
from counterfoil.uses.rotate_keys import due

log = structlog.get_logger()

STALE_SECONDS: Final = 5.0
"""A process never uses keys that it has not checked for this long; it usually checks them every second."""
PUBLISHED_SECONDS: Final = 300.0
"""Clients may cache the published keys for this long (`max-age`). While the database is away, so do we."""
_PATIENCE_SECONDS: Final = 1.0
_APART_SECONDS: Final = 0.25
"""The least time between two queries for unknown keys, because anybody can send bearers with unknown keys."""


class Keys:
    """Keeps the key ring of a process up to date, and rotates it when a rotation is due."""

    def __init__(
        self, pool: Pool, door: Door, *, issuer: str, encryption_key: bytes, bearer_seconds: int,
        rotation_seconds: int | None = None,
    ) -> None:  # fmt: skip
        self._pool = pool
        self._door = door
        self._issuer = issuer
        self._sealing = Sealing(encryption_key)
        self._bearer_seconds = bearer_seconds
        self._rotation_seconds = rotation_seconds
        self._reading: Gather[None, KeyRing] = Gather(self._read)
        self._known: tuple[Ring, KeyRing] | None = None
        self._as_of = 0.0
        self._asked = 0.0
        self._next: asyncio.Task[KeyRing] | None = None

    async def ring(self) -> KeyRing:
        """Return the keys; read them from the database first if the last check is older than STALE_SECONDS."""
        if self._known is None or monotonic() - self._as_of > STALE_SECONDS:
            return await self._reread()
        return self._known[1]

    async def published(self) -> list[PublicJwk]:
        """Return the public keys; from memory if the database does not answer within a second."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return (await self.ring()).jwks
        except (*LOST, Unavailable):
            if self._known is None or monotonic() - self._as_of > PUBLISHED_SECONDS:
                raise
            return self._known[1].jwks

    async def claims_of(self, text: str) -> Claims:
        """Return the claims of a bearer that one of these keys signed, or raise CredentialsRefused.

        If the key is unknown, it may be new: this reads the keys again first.
        """
        ring = await self.ring()
        return (ring if ring.knows(text) or not ring.may_know(text) else await self._newer()).claims_of(text)

    async def confirm(self, text: str, version: int | None) -> None:
        """Refuse a bearer whose key was removed by this version of the ring."""
        ring = await self.ring()
        if version is not None and version > ring.version:
            ring = await self._reread()
        if not ring.knows(text):
            raise CredentialsRefused

    async def note_version(self, version: int | None, as_of: float, at: datetime) -> None:
        """Read the keys again if they have a new version, and execute the next step of a rotation when it is due.

        `as_of` is the time on the loop's clock when the version was read, `at` the time of the database.
        """
        if self._known is None or version != self._known[0].version:
            await self._reread()
        else:
            self._as_of = max(self._as_of, as_of)
        # Every process tries this. The door accepts one of them, because each command requires the present revision.
        if self._known and (step := due(self._known[0], at, self._rotation_seconds, self._sealing)):
            with suppress(Refusal):
                outcome = await self._door.execute(step)
                log.info("signing_keys_rotated", steps=[fact.type for fact in outcome.facts])

    async def _newer(self) -> KeyRing:
        """Return the keys from a query that begins after this call. Callers share one query at a time."""
        if self._next is None:
            self._next = asyncio.create_task(self._reread_in_turn())
        return await asyncio.shield(self._next)  # a cancelled caller must not cancel the query for the others

    async def _reread_in_turn(self) -> KeyRing:
        await asyncio.sleep(self._asked + _APART_SECONDS - monotonic())
        # A caller that comes after this line needs a later query: its key may be newer than this one's answer.
        self._asked, self._next = monotonic(), None
        return await self._reread()

    async def _reread(self) -> KeyRing:
        ring = await self._reading.get(None)
        if ring is None:
            raise TypeError("a ring is made where there is none")
        return ring

    async def _read(self, _: list[None]) -> dict[None, KeyRing]:
        as_of = monotonic()
        stored = await stored_ring(self._pool) or await self._first()
        if stored.ring.bearer_seconds < self._bearer_seconds:
            # Must be stored before the first bearer with this lifetime, so that its key verifies until it expires.
            await self._door.execute(
                ExtendBearerLifetime(account=NIL, id=RING, by=SYSTEM, seconds=self._bearer_seconds)
            )
            stored = await self._stored()
        known = self._known
        ring = known[1] if known and known[0].version == stored.ring.version else self._opened(stored)
        if known is None or known[0].version <= stored.ring.version or as_of > self._as_of:
            self._known, self._as_of = (stored.ring, ring), max(as_of, self._as_of)
        # Return the answer of this query, even if a later query has already replaced `_known`.
        return {None: ring}

    async def _first(self) -> StoredRing:
        first = PublishKey(
            account=NIL, id=RING, by=SYSTEM, new_key=self._sealing.new_key(), revisions=frozenset({0})
        )  # fmt: skip
        with suppress(StaleRevision):  # another process was first
            await self._door.execute(first)
        return await self._stored()

    async def _stored(self) -> StoredRing:
        stored = await stored_ring(self._pool)
        if stored is None:
            raise TypeError("what was committed is read")
        return stored

    def _opened(self, stored: StoredRing) -> KeyRing:
        private = {kid: self._sealing.opened(kid, sealed) for kid, sealed in stored.encrypted.items()}
        active = stored.ring.first("active")
        if active is None:
            raise TypeError("one key signs")
        others = tuple(
            public_key(key.jwk) for key in stored.ring.keys if key.status in ("published", "retired")
        )  # fmt: skip
        return key_ring(self._issuer, private[active.kid], others, version=stored.ring.version)
