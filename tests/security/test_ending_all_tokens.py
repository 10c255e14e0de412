"""K48. All tokens of one user, or of an account, are revoked in one call."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import ClientSession

from api.service import Caller, founded
from api.user_fixtures import person
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.settings import Settings
from counterfoil_worker.bulk_revocations import BulkRevocations

JOBS = "/v1/revocations"


@pytest_asyncio.fixture
async def worker(settings: Settings) -> AsyncIterator[BulkRevocations]:
    async with await open_pool(settings.database_url, size=4) as pool, Door(settings.database_url) as door:
        yield BulkRevocations(pool, door)


async def ordered(caller: Caller, **wanted: Any) -> Any:
    plan = (await caller.post(f"{JOBS}/plan", {"filter": wanted})).json
    answer = await caller.post(JOBS, {"filter": wanted, "plan": plan["plan"], "reason": "left in anger"})
    assert answer.status == 201, answer.body
    return answer.json


async def opens(admin: Caller, issued: Any) -> bool:
    secret = issued["secret"]
    by_secret = (await admin.with_token(secret).get("/v1/tokens/self")).status == 200
    bought = (await admin.with_token(secret).post("/v1/exchange", {})).status == 200
    assert by_secret == bought
    return by_secret


async def test_all_tokens_of_one_user_are_revoked_in_one_call_and_no_others(
    admin: Caller, worker: BulkRevocations
) -> None:
    ada, eve = await person(admin), await person(admin)
    owner = {"type": "user", "id": ada.id}
    hers = [await admin.issue(owner=owner, scopes=["own.read"]) for _ in range(3)]
    hers.append((await ada.asks().post("/v1/login")).json["issued"])
    moved = "old_" + secrets.token_hex(20)
    await admin.post("/v1/tokens/import", {"tokens": [{"name": "moved", "owner": owner, "secret": moved}]})
    others = [await admin.issue(owner={"type": "user", "id": eve.id}), await admin.issue()]
    bearer = (await admin.with_token(hers[0]["secret"]).post("/v1/exchange", {})).json["access_token"]
    revocation = await ordered(admin, owner_type="user", owner_id=ada.id)
    assert revocation["total"] == 5
    await worker.work()
    assert not any([await opens(admin, each) for each in (*hers, {"secret": moved})])
    assert (await admin.with_token(bearer).get("/v1/tokens/self")).problem == "token-revoked"
    assert all([await opens(admin, each) for each in others])
    assert (await ada.asks().get("/v1/users/self")).status == 200, "she herself is not disabled by that"


async def test_all_tokens_of_an_account_are_revoked_in_one_call_and_no_others(
    session: ClientSession, settings: Settings, admin: Caller, worker: BulkRevocations, tmp_path: Path
) -> None:
    doomed = Caller(session, f"Bearer {(await founded(settings, 'doomed', tmp_path))['admin_token']}")
    issued = [await doomed.issue() for _ in range(3)]
    bystander = await admin.issue()
    revocation = await ordered(doomed, everything=True)
    await worker.work()
    assert not any([await opens(doomed, each) for each in issued])
    assert (await doomed.get("/v1/tokens/self")).problem == "token-revoked", "the one that asked among them"
    assert await opens(admin, bystander)
    assert revocation["total"] == 4


async def test_every_secret_of_an_account_ends_at_once_in_one_call(
    session: ClientSession, settings: Settings, admin: Caller, tmp_path: Path
) -> None:
    ended = Caller(session, f"Bearer {(await founded(settings, 'ended', tmp_path))['admin_token']}")
    issued = [await ended.issue() for _ in range(3)]
    moved = "old_" + secrets.token_hex(20)
    await ended.post("/v1/tokens/import", {"tokens": [{"name": "moved", "secret": moved}]})
    bearer = (await ended.with_token(issued[0]["secret"]).post("/v1/exchange", {})).json["access_token"]
    bystander = await admin.issue()
    assert (await ended.post("/v1/account/end-secrets", {"reason": "the vault was copied"})).status == 200
    assert not any([await opens(ended, each) for each in (*issued, {"secret": moved})])
    for gone in (ended, ended.with_token(bearer)):
        assert (await gone.get("/v1/tokens/self")).problem == "secret-ended"
    assert await opens(admin, bystander)
