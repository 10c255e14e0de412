"""Opens the objects that handlers ask for by type, and closes them in the reverse order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

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
from counterfoil.uses.egress import Egress
from counterfoil.uses.key_watch import watch_versions
from counterfoil.uses.last_used import RotationUses, Uses
from counterfoil.uses.pepper_sync import PepperSync
from counterfoil.uses.redigest import Redigest
from counterfoil.uses.secret_formats import SecretFormats
from counterfoil.uses.signing_keys import Keys
from counterfoil.uses.verify import Verifying
from counterfoil.uses.webhook_secrets import WebhookSecrets
from counterfoil_api.auth.default_account import DefaultAccount
from counterfoil_api.auth.issuers import open_issuers
from counterfoil_api.auth.one_time import OneTimeCodes
from counterfoil_api.auth.passwords import Passwords
from counterfoil_api.census import Census
from counterfoil_api.dialects.owners import Owners
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.events.streams import Streams
from counterfoil_api.handling.issuing import Issuing
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.token_exchange import Exchanging
from counterfoil_api.handling.webhooks import Webhooks
from counterfoil_api.handling.writing import Writing
from counterfoil_api.limits.callers import Callers
from counterfoil_api.limits.limits import open_limits
from counterfoil_api.metrics import gauged, observe_batch
from counterfoil_api.operations.services import Services

log = structlog.get_logger()

_LOOKUP_CONNECTIONS: Final = 2
_SCANS_AT_ONCE: Final = 2
_PATIENCE_SECONDS: Final = 3.0


@asynccontextmanager
async def open_services(settings: Settings, *, shapes: tuple[SecretShape, ...] = ()) -> AsyncIterator[Services]:
    """Open everything. Without a database the service starts all the same, and checks its keys when there is one.

    `shapes` are the forms of dialects' secrets. Raises Misconfigured.
    """
    async with AsyncExitStack() as stack:
        enter, url = stack.enter_async_context, settings.database_url
        pool = await enter(await open_pool(url, size=settings.database_pool_size))
        by_key = await enter(await open_pool(url, size=_LOOKUP_CONNECTIONS, by_key=True))
        door = await enter(Door(url, observe=observe_batch))
        await enter(gauged(door, pool))
        verifying = await _open_verifying(stack, settings, shapes, pool, by_key=by_key, door=door)
        limits = await enter(open_limits(settings, readers=pool, verifying=verifying))
        reading = _reading(settings, pool, await enter(AccessLog(door)))
        writing = Writing(door, reading, Numbers(pool), Numbers(pool, "user"), verifying.peppers)
        issuing = Issuing(reading, writing, limits.seen_secrets, settings.thresholds)
        codes = OneTimeCodes(pool, door, verifying.peppers, key=_derived(settings, b"counterfoil totp"))
        passwords = Passwords(pool, reading.default_account, limits.logins, codes)
        callers = Callers(verifying, passwords, limits, pool, settings.public_url)
        yield Services.of(
            *(settings, verifying, limits, reading, writing, issuing, passwords, codes, Census(pool)),
            callers,
            Exchanging(verifying, writing, limits, settings),
            Tokens(reading, writing, issuing, Owners(pool), callers),
            await enter(
                Streams(url, readers=pool, by_key=by_key, keys=verifying.keys, most=settings.streams_per_account)
            ),
            await enter(open_issuers(settings)),
            Webhooks(
                WebhookSecrets(settings.key_encryption_key),
                await enter(Egress(settings)),
                settings.subscriptions_per_account,
            ),
        )


async def _open_verifying(
    stack: AsyncExitStack, settings: Settings, shapes: tuple[SecretShape, ...], pool: Pool, *, by_key: Pool, door: Door
) -> Verifying:
    """Open what verification needs, and follow changes of the keys and peppers."""
    peppers = Peppers(settings.peppers, mac_key=_derived(settings, b"counterfoil replies"))
    pepper_sync = PepperSync(pool, door, peppers)
    keys = Keys(
        pool, door, issuer=settings.public_url, encryption_key=settings.key_encryption_key,
        bearer_seconds=settings.bearer_lifetime_seconds, rotation_seconds=settings.signing_key_rotation_seconds,
    )  # fmt: skip
    await _check_keys(keys, pepper_sync)
    await stack.enter_async_context(
        watch_versions(
            settings.database_url,
            tuple(settings.peppers),
            {RING: keys.note_version, PEPPER_SET: pepper_sync.note_version},
        )
    )
    return Verifying(
        lookup=Lookup(by_key),
        secret_formats=SecretFormats(by_key, shapes),
        redigest=await stack.enter_async_context(Redigest(pool, peppers)),
        peppers=peppers,
        pepper_sync=pepper_sync,
        keys=keys,
        uses=await stack.enter_async_context(Uses(pool)),
        rotation_uses=await stack.enter_async_context(RotationUses(pool)),
    )


def _reading(settings: Settings, pool: Pool, access_log: AccessLog) -> Reading:
    return Reading(
        pool=pool,
        access_log=access_log,
        cursors=Cursors(_derived(settings, b"counterfoil cursors")),
        opaque_ids=OpaqueIds(_derived(settings, b"counterfoil opaque ids")),
        default_account=DefaultAccount(pool, settings.default_account),
        scans=asyncio.Semaphore(min(_SCANS_AT_ONCE, settings.database_pool_size - 1)),
    )


async def _check_keys(keys: Keys, pepper_sync: PepperSync) -> None:
    """Check at once, if the database answers, that our keys and peppers are those of this database."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await keys.ring()
            await pepper_sync.ensure_fresh()
    except Misconfigured:
        raise
    except (*LOST, asyncpg.PostgresError, Unavailable) as error:
        log.warning("database_away", error=type(error).__name__, meanwhile="nothing can be answered")


def _derived(settings: Settings, use: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=use).derive(settings.key_encryption_key)
