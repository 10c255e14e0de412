"""What handlers read with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from counterfoil.core.cursor import Cursors
from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import NotFound, Overloaded
from counterfoil.core.subjects.account import Account
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.scope_catalogue import those
from counterfoil_api.auth.default_account import DefaultAccount

_WAIT_SECONDS: Final = 2.0
"""How long a request waits for its turn; most scans take milliseconds."""
_RETRY_SECONDS: Final = 10
_TOO_MANY: Final = "Too many bulk revocations are being planned; nothing was changed, try again."


@dataclass(frozen=True, slots=True)
class Reading:
    """Connections for reading, and what makes pages and ids that only this service can read back."""

    pool: Pool
    cursors: Cursors
    opaque_ids: OpaqueIds
    default_account: DefaultAccount
    scans: asyncio.Semaphore
    """So many scans of very many tokens may run at once."""

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn to scan: a scan holds a reading connection for up to minutes. Raises Overloaded."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self.scans.acquire()
        except TimeoutError:
            raise Overloaded(_TOO_MANY, retry_after=_RETRY_SECONDS) from None
        try:
            yield
        finally:
            self.scans.release()


async def own_account(reading: Reading, asker: Principal) -> Account:
    """Return the account of the caller."""
    found = await those(reading.pool, asker.account, [asker.account], Account)
    if not found:
        raise NotFound
    return found[0]
