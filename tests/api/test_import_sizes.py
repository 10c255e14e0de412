"""Import: a thousand items in one call, and the very first import, which every process must learn of."""

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from api.imported_tokens import digest, imported, item, one, plain
from api.service import Answer, Caller, founded, served, settings_for
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database


async def test_a_call_imports_at_most_a_thousand_items(admin: Caller) -> None:
    results = await imported(admin, *(item(digest=digest(plain())) for _ in range(1_000)))
    assert {each["status"] for each in results} == {"imported"}
    assert len({each["number"] for each in results}) == 1_000
    for items in ([], [item(digest=digest("x"))] * 1_001):
        assert (await admin.post("/v1/tokens/import", {"tokens": items})).problem == "invalid-request"
    many = json.dumps({"tokens": [item(digest=digest(plain()), description="x" * 30_000)] * 150}).encode()
    headers = {"Authorization": admin.credentials, "Content-Type": "application/json"}
    async with admin.session.post("/v1/tokens/import", data=BytesIO(many), headers=headers) as answer:
        assert answer.status == 413


@pytest_asyncio.fixture
async def two_processes(database: Database, tmp_path: Any) -> AsyncIterator[tuple[Caller, Caller]]:
    """The administrator at two processes of a service without any import."""
    settings = settings_for(database.app_url)
    credentials = await founded(settings, "fresh", tmp_path)
    async with (
        served(make_app(settings)) as one_url,
        served(make_app(settings)) as other_url,
        ClientSession(one_url) as one_session,
        ClientSession(other_url) as other_session,
    ):
        bearer = f"Bearer {credentials['admin_token']}"
        yield Caller(one_session, bearer), Caller(other_session, bearer)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_the_very_first_import_is_accepted_by_every_process_once_it_is_answered(
    two_processes: tuple[Caller, Caller], algorithm: str
) -> None:
    here, there = two_processes
    text = plain()
    asking = [asyncio.create_task(_asking(there, text)) for _ in range(2)]  # so that it caches that there is none
    await one(here, digest=digest(text, algorithm))
    assert (await there.with_token(text).get("/v1/tokens/self")).status == 200
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def _asking(caller: Caller, text: str) -> Answer:
    while (answer := await caller.with_token(text).get("/v1/tokens/self")).status != 200:  # noqa: ASYNC110 - asks for real
        await asyncio.sleep(0.01)
    return answer
