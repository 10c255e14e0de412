"""The OIDC issuers that tokens trust, as one API process knows them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from math import ceil
from time import monotonic
from typing import Final

from counterfoil.settings import Settings
from counterfoil.uses.egress import Egress
from counterfoil_api.auth.issuers.assertion import read
from counterfoil_api.auth.issuers.claims import checked
from counterfoil_api.auth.issuers.fetching import FetchedKeys, KeysNotFetched, fetched_keys
from counterfoil_api.auth.issuers.held_keys import HeldKeys
from counterfoil_api.auth.issuers.keys import KeySet
from counterfoil_api.http.errors import AssertionRefused, IssuerUnavailable

MOST_ISSUERS: Final = 256
"""The most issuers kept in memory; the least recently used one is dropped, and requested again when needed."""
AT_ONCE: Final = 64
"""The most requests to issuers at a time."""
_PATIENCE_SECONDS: Final = 2.0
"""How long a caller waits for newer keys while the held ones may still be used."""


class Issuers:
    """Verifies JWTs with the keys of the issuer that a token names; a JWT never decides whose keys are fetched."""

    def __init__(
        self, fetch: Callable[[str], Awaitable[FetchedKeys]], *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: dict[str, HeldKeys] = {}
        self._fetching: dict[str, asyncio.Task[None]] = {}

    async def verified(self, text: str, *, issuer: str, audience: str, at: datetime) -> Mapping[str, object]:
        """Return the claims of a JWT that this issuer signed for this audience and that is good at this moment.

        Raises AssertionRefused for every other JWT, and IssuerUnavailable if the issuer's keys cannot be had.
        """
        assertion = read(text)
        keys = await self._keys(issuer)
        if not keys.candidates(assertion):
            keys = await self._keys_for_unknown(issuer, keys)
        if not keys.signed(assertion):
            raise AssertionRefused
        return checked(assertion.claims, issuer=issuer, audience=audience, at=at)

    async def close(self) -> None:
        """Cancel all requests."""
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    async def _keys(self, issuer: str) -> KeySet:
        held = self._held.get(issuer)
        if held is None or not held.fresh(self._clock()):
            return await self._newer_keys(issuer)
        self._held[issuer] = self._held.pop(issuer)  # now the most recently used
        return held.keys

    async def _keys_for_unknown(self, issuer: str, keys: KeySet) -> KeySet:
        """Return the keys for a JWT that none of these fits. Anybody can name a key, so requests are rationed."""
        held = self._held.get(issuer)
        if held is not None and not held.failing and not held.unknown_may_be_requested(self._clock()):
            return keys
        newer = await self._newer_keys(issuer)
        if (held := self._held.get(issuer)) is not None and held.failing:  # its newest keys cannot be known
            raise self._unavailable(issuer)
        return newer

    async def _newer_keys(self, issuer: str) -> KeySet:
        """Return the keys that the issuer publishes now; if it does not answer, the held ones that are still good."""
        if (held := self._held.get(issuer)) is None or held.may_be_requested(self._clock()):
            good = held is not None and held.good(self._clock())
            await self._requested(issuer, patience=_PATIENCE_SECONDS if good else None)
        held = self._held.get(issuer)
        if held is None or not held.good(self._clock()):
            raise self._unavailable(issuer)
        return held.keys

    def _unavailable(self, issuer: str) -> IssuerUnavailable:
        held = self._held.get(issuer)
        return IssuerUnavailable(retry_after=1 if held is None else max(1, ceil(held.wait(self._clock()))))

    async def _requested(self, issuer: str, *, patience: float | None) -> None:
        """Send one request for all waiting callers; a cancelled caller does not cancel it for the others."""
        task = self._fetching.get(issuer)
        if task is None:
            if len(self._fetching) >= AT_ONCE:
                return
            task = self._fetching[issuer] = asyncio.create_task(self._request(issuer))
            task.add_done_callback(partial(self._forget, issuer))
        await asyncio.wait({task}, timeout=patience)

    async def _request(self, issuer: str) -> None:
        requested_at = self._clock()
        held = self._held.get(issuer, HeldKeys())
        try:
            found = await self._fetch(issuer)
        except KeysNotFetched:
            self._hold(issuer, held.not_answered(self._clock()))
        else:
            self._hold(issuer, held.answered(found.keys, found.max_age, requested_at=requested_at))

    def _forget(self, issuer: str, task: asyncio.Task[None]) -> None:
        del self._fetching[issuer]
        if not task.cancelled():
            task.result()  # the loop reports a bug of ours

    def _hold(self, issuer: str, held: HeldKeys) -> None:
        self._held.pop(issuer, None)
        self._held[issuer] = held
        if len(self._held) > MOST_ISSUERS:
            del self._held[next(iter(self._held))]


@asynccontextmanager
async def open_issuers(settings: Settings) -> AsyncIterator[Issuers]:
    """Open the connections with which the issuers' keys are fetched."""
    async with Egress(settings) as egress:
        issuers = Issuers(partial(fetched_keys, egress))
        try:
            yield issuers
        finally:
            await issuers.close()
