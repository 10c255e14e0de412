"""The ledger as one API process holds it: the door, the ways of reading, and what secrets are checked with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from counterfoil.core.cursor import Cursors
from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil.core.refusals import Misconfigured, Unavailable
from counterfoil.core.secret import Peppers, SecretShape
from counterfoil.core.subjects.peppers import PEPPER_SET
from counterfoil.core.subjects.signing_keys import RING
from counterfoil.door import Door
from counterfoil.postgres.connection import LOST, Pool, open_pool
from counterfoil.postgres.lookup import Lookup
from counterfoil.postgres.numbers import Numbers
from counterfoil.settings import Settings
from counterfoil.uses.access_log import AccessLog
from counterfoil.uses.last_used import Uses
from counterfoil.uses.redigest import Redigest
from counterfoil_api.auth.default_account import DefaultAccount
from counterfoil_api.auth.issuers import Issuers, open_issuers
from counterfoil_api.auth.key_watch import following
from counterfoil_api.auth.one_time import OneTimeCodes
from counterfoil_api.auth.passwords import Passwords
from counterfoil_api.auth.pepper_sync import PepperSync
from counterfoil_api.auth.secret_formats import SecretFormats
from counterfoil_api.auth.signing_keys import Keys
from counterfoil_api.auth.verification import Sources
from counterfoil_api.dialects.owners import Owners
from counterfoil_api.events.streams import Streams
from counterfoil_api.limits.callers import Callers
from counterfoil_api.limits.limits import Limits, open_limits
from counterfoil_api.metrics import Census, gauged, observe_batch

log = structlog.get_logger()

_LOOKUP_CONNECTIONS = 2
_LOOKS_AT_ONCE = 2
_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Ledger(Sources):
    """Everything that handlers work with."""

    settings: Settings
    door: Door
    readers: Pool
    witness: AccessLog
    numbers: Numbers
    user_numbers: Numbers
    limits: Limits
    default_account: DefaultAccount
    passwords: Passwords
    callers: Callers
    codes: OneTimeCodes
    cursors: Cursors
    census: Census
    streams: Streams
    opaque_ids: OpaqueIds
    owners: Owners
    issuers: Issuers
    looks: asyncio.Semaphore
    """Turns to look at very many tokens."""


@asynccontextmanager
async def open_ledger(settings: Settings, *, shapes: tuple[SecretShape, ...] = ()) -> AsyncIterator[Ledger]:
    """Open all of it; if the database is there, hold our keys against it, but the service can start before it.

    `shapes` are the forms that secrets may have beside ours. Raises Misconfigured.
    """
    async with AsyncExitStack() as stack:
        size = settings.database_pool_size
        readers = await stack.enter_async_context(await open_pool(settings.database_url, size=size))
        by_key = await stack.enter_async_context(
            await open_pool(settings.database_url, size=_LOOKUP_CONNECTIONS, by_key=True)
        )
        door = await stack.enter_async_context(Door(settings.database_url, observe=observe_batch))
        await stack.enter_async_context(gauged(door, readers))
        peppers = Peppers(settings.peppers, mac_key=_derived(settings.key_encryption_key, b"counterfoil replies"))
        pepper_sync = PepperSync(readers, door, peppers)
        keys = Keys(
            readers, door, issuer=settings.public_url, encryption_key=settings.key_encryption_key,
            bearer_seconds=settings.bearer_lifetime_seconds, rotation_seconds=settings.signing_key_rotation_seconds,
        )  # fmt: skip
        await _learn(keys, pepper_sync)
        await stack.enter_async_context(
            following(settings.database_url, tuple(settings.peppers), {RING: keys.heard, PEPPER_SET: pepper_sync.heard})
        )
        sources = Sources(
            lookup=Lookup(by_key),
            recognition=SecretFormats(by_key, shapes),
            again=await stack.enter_async_context(Redigest(readers, peppers)),
            peppers=peppers,
            pepper_sync=pepper_sync,
            keys=keys,
            uses=await stack.enter_async_context(Uses(readers)),
        )
        limits = await stack.enter_async_context(open_limits(settings, readers=readers, sources=sources))
        seeds_key = _derived(settings.key_encryption_key, b"counterfoil totp")
        codes = OneTimeCodes(readers, door, peppers, key=seeds_key)
        streams = await stack.enter_async_context(
            Streams(settings.database_url, readers=readers, by_key=by_key, keys=keys, most=settings.streams_per_account)
        )
        default_account = DefaultAccount(readers, settings.default_account)
        passwords = Passwords(readers, default_account, limits.logins, codes)
        yield Ledger(
            settings=settings,
            door=door,
            readers=readers,
            lookup=sources.lookup,
            recognition=sources.recognition,
            again=sources.again,
            uses=sources.uses,
            witness=await stack.enter_async_context(AccessLog(door)),
            numbers=Numbers(readers),
            user_numbers=Numbers(readers, "user"),
            peppers=peppers,
            pepper_sync=pepper_sync,
            limits=limits,
            default_account=default_account,
            passwords=passwords,
            callers=Callers(sources, passwords, limits, readers, settings.public_url),
            codes=codes,
            keys=keys,
            cursors=Cursors(_derived(settings.key_encryption_key, b"counterfoil cursors")),
            census=Census(readers),
            streams=streams,
            opaque_ids=OpaqueIds(_derived(settings.key_encryption_key, b"counterfoil opaque ids")),
            owners=Owners(readers),
            issuers=await stack.enter_async_context(open_issuers(settings)),
            looks=asyncio.Semaphore(min(_LOOKS_AT_ONCE, size - 1)),
        )


async def _learn(keys: Keys, pepper_sync: PepperSync) -> None:
    """Find out at once whether our keys are those of this database, if it can be asked."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await keys.ring()
            await pepper_sync.settled()
    except Misconfigured:
        raise
    except (*LOST, asyncpg.PostgresError, Unavailable) as error:
        log.warning("database_away", error=type(error).__name__, meanwhile="nothing can be answered")


def _derived(key: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=use).derive(key)
