"""Automatic steps of the signing keys and their times, and how long clients may cache the key set."""

import asyncio
import re
from datetime import datetime, timedelta
from time import monotonic

import pytest
from aiohttp import ClientSession
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from api.service import Caller, served, settings_for
from api.test_bearers import CLAIMS, ISSUER
from core.histories import NOON
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.refusals import CredentialsRefused
from counterfoil.core.subjects.signing_key_events import ActivateKey, PublishKey, RemoveKey
from counterfoil.core.subjects.signing_keys import PUBLISHED_SECONDS, RING, SKEW_SECONDS, Ring, SigningKey
from counterfoil.door import Door
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.signing_keys import StoredRing, stored_ring
from counterfoil.settings import BadSetting
from counterfoil.uses import signing_keys
from counterfoil.uses.bearers import key_ring
from counterfoil.uses.key_encryption import Sealing
from counterfoil.uses.rotate_keys import due
from counterfoil.uses.signing_keys import Keys
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database

SEALING = Sealing(b"k" * 32)
HOUR = 3_600
ACTIVE = SigningKey(kid="a", jwk={}, status="active", published_at=NOON, activated_at=NOON)
WAITING = SigningKey(kid="b", jwk={}, status="published", published_at=NOON)
RETIRED = replace(ACTIVE, kid="c", status="retired", retired_at=NOON)


def ring(*keys: SigningKey) -> Ring:
    return Ring(
        account=NIL, id=NIL, name=None, created_at=NOON, updated_at=NOON, revision=7, version=7, at=NOON, keys=keys,
        bearer_seconds=HOUR,
    )  # fmt: skip


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_the_waiting_key_signs_when_every_client_can_have_it() -> None:
    keys = ring(ACTIVE, WAITING)
    assert due(keys, at(PUBLISHED_SECONDS - 1), None, SEALING) is None
    step = due(keys, at(PUBLISHED_SECONDS), None, SEALING)
    assert isinstance(step, ActivateKey)
    assert (step.kid, step.emergency) == ("b", False)
    assert step.revisions == frozenset({7}), "it insists on the ring that it saw"


def test_a_retired_key_is_removed_after_the_expiry_of_its_last_bearer() -> None:
    keys = ring(RETIRED, ACTIVE)
    assert due(keys, at(HOUR + SKEW_SECONDS - 1), None, SEALING) is None
    step = due(keys, at(HOUR + SKEW_SECONDS), None, SEALING)
    assert isinstance(step, RemoveKey)
    assert (step.kid, step.reason) == ("c", "")


def test_a_rotation_begins_automatically_only_if_configured() -> None:
    assert due(ring(ACTIVE), at(10**9), None, SEALING) is None
    assert due(ring(ACTIVE), at(HOUR - 1), HOUR, SEALING) is None
    assert isinstance(due(ring(ACTIVE), at(HOUR), HOUR, SEALING), PublishKey)
    assert due(ring(ACTIVE, WAITING), at(1), 1, SEALING) is None, "one is under way"


def test_a_too_frequent_rotation_is_refused() -> None:
    assert settings_for("postgresql://x/y", SIGNING_KEY_ROTATION="90d").signing_key_rotation_seconds == 90 * 86_400
    assert settings_for("postgresql://x/y").signing_key_rotation_seconds is None
    with pytest.raises(BadSetting, match="at least an hour"):
        settings_for("postgresql://x/y", SIGNING_KEY_ROTATION="5m")


async def test_the_key_set_is_cached_for_less_time_than_a_key_is_published_before_it_signs(
    database: Database,
) -> None:
    async with served(make_app(settings_for(database.app_url))) as url, ClientSession(url) as session:
        answer = await Caller(session, "").get("/.well-known/jwks.json")
        age = re.search(r"max-age=([0-9]+)", answer.headers["Cache-Control"])
        assert age is not None
        assert 0 < int(age[1]) <= PUBLISHED_SECONDS // 2
        (key,) = answer.json["keys"]
        assert set(key) == {"kid", "kty", "crv", "x", "y", "alg", "use"}


async def test_a_flood_of_unknown_keys_causes_few_queries_and_new_keys_verify(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = 0

    async def counted(pool: Pool) -> StoredRing | None:
        nonlocal requests
        requests += 1
        return await stored_ring(pool)

    async with await open_pool(database.app_url, size=2) as pool, Door(database.app_url) as door:
        here, there = (Keys(pool, door, issuer=ISSUER, encryption_key=b"k" * 32, bearer_seconds=HOUR) for _ in "ab")
        old = await here.ring()
        forged = key_ring(ISSUER, ec.generate_private_key(ec.SECP256R1())).sign(CLAIMS)
        over = asyncio.Event()

        async def flood() -> None:
            while not over.is_set():
                with pytest.raises(CredentialsRefused):
                    await here.claims_of(forged)

        began = monotonic()
        monkeypatch.setattr(signing_keys, "stored_ring", counted)
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(flood())
            await asyncio.sleep(1)
            assert requests <= 1 + (monotonic() - began) * 4
            for _ in range(3):
                kid, new = (await there.ring()).header["kid"], SEALING.new_key()
                await door.execute(
                    RemoveKey(account=NIL, id=RING, by=SYSTEM, kid=kid, reason="stolen", successor=new)
                )  # fmt: skip
                await there.note_version(None, 0.0, NOON)
                bearer = (await there.ring()).sign(CLAIMS)
                assert not old.knows(bearer)
                assert await here.claims_of(bearer) == CLAIMS, "it is not refused before anybody was asked"
            over.set()
