"""The ledger as one API process holds it: the door, the ways of reading, and what secrets are checked with."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from counterfoil.cursor import Cursors
from counterfoil.door import Door
from counterfoil.key import RING
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.lookup import Lookup
from counterfoil.postgres.numbers import Numbers
from counterfoil.secret import Peppers
from counterfoil.settings import Settings
from counterfoil.use import Uses
from counterfoil.witness import Witness
from counterfoil_api.following import following
from counterfoil_api.limits import Limits, open_limits
from counterfoil_api.metrics import Census, gauged, observe_batch
from counterfoil_api.one_time import OneTimeCodes
from counterfoil_api.passwords import Passwords
from counterfoil_api.recognition import Recognition
from counterfoil_api.signing import Keys

_LOOKUP_CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that handlers work with."""

    settings: Settings
    door: Door
    readers: Pool
    lookup: Lookup
    recognition: Recognition
    uses: Uses
    witness: Witness
    numbers: Numbers
    user_numbers: Numbers
    peppers: Peppers
    limits: Limits
    passwords: Passwords
    codes: OneTimeCodes
    keys: Keys
    cursors: Cursors
    census: Census


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Open all of it without asking the database anything, so that the service can start before it."""
    async with AsyncExitStack() as stack:
        size = settings.database_pool_size
        readers = await stack.enter_async_context(await open_pool(settings.database_url, size=size))
        by_key = await stack.enter_async_context(
            await open_pool(settings.database_url, size=_LOOKUP_CONNECTIONS, by_key=True)
        )
        door = await stack.enter_async_context(Door(settings.database_url, observe=observe_batch))
        await stack.enter_async_context(gauged(door, readers))
        lookup, recognition, peppers = Lookup(by_key), Recognition(by_key), Peppers(settings.peppers)
        keys = Keys(
            readers, door, issuer=settings.public_url, encryption_key=settings.key_encryption_key,
            bearer_seconds=settings.bearer_lifetime_seconds, rotation_seconds=settings.signing_key_rotation_seconds,
        )  # fmt: skip
        await stack.enter_async_context(following(readers, {RING: keys.heard}))
        limits = await stack.enter_async_context(
            open_limits(settings, readers=readers, lookup=lookup, peppers=peppers, keys=keys, recognition=recognition)
        )
        seeds_key = _derived(settings.key_encryption_key, b"counterfoil totp")
        codes = OneTimeCodes(readers, door, peppers, key=seeds_key)
        yield Ledger(
            settings=settings,
            door=door,
            readers=readers,
            lookup=lookup,
            recognition=recognition,
            uses=await stack.enter_async_context(Uses(readers)),
            witness=await stack.enter_async_context(Witness(door)),
            numbers=Numbers(readers),
            user_numbers=Numbers(readers, "user_number"),
            peppers=peppers,
            limits=limits,
            passwords=Passwords(readers, limits.logins, codes),
            codes=codes,
            keys=keys,
            cursors=Cursors(_derived(settings.key_encryption_key, b"counterfoil cursors")),
            census=Census(readers),
        )


def _derived(key: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=use).derive(key)
