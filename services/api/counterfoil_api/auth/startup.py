"""Checks before several processes start that the keys in the environment are those of the database."""

import asyncio
from typing import Final

import asyncpg

from counterfoil.core.refusals import Misconfigured, Unavailable
from counterfoil.core.secret import Peppers
from counterfoil.door import Door
from counterfoil.postgres.connection import LOST, connect
from counterfoil.postgres.signing_keys import stored_ring
from counterfoil.settings import Settings
from counterfoil.uses.key_encryption import Sealing
from counterfoil.uses.pepper_sync import introduce_peppers

_PATIENCE_SECONDS: Final = 3.0


async def refuse_wrong_keys(settings: Settings) -> None:
    """Raise Misconfigured if the keys differ; an unreachable database does not prevent the start."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), Door(settings.database_url) as door:
            connection = await connect(settings.database_url)
            try:
                await introduce_peppers(connection, door, Peppers(settings.peppers))
                stored = await stored_ring(connection)
            finally:
                await connection.close()
    except Misconfigured:
        raise
    except (*LOST, asyncpg.PostgresError, Unavailable):
        return
    sealing = Sealing(settings.key_encryption_key)
    for kid, sealed in stored.encrypted.items() if stored else ():
        sealing.opened(kid, sealed)
