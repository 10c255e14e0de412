"""The number of uses of a token is exact over processes, wherever the token or its bearers are presented."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import ClientSession

from api.proxy import Asked
from api.service import Answer, Caller, founded, served, settings_for
from counterfoil.core.bounds import Limits
from counterfoil.core.refusals import UsesExhausted
from counterfoil.postgres import counted_use
from counterfoil.postgres.connection import open_pool
from counterfoil.uses.counted_uses import CountedUses
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from security.processes import several

EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
}


@pytest.fixture
async def admin(database: Database, tmp_path: Path) -> AsyncIterator[Caller]:
    """The administrator of a service without Valkey."""
    settings = settings_for(database.app_url)
    credentials = await founded(settings, "quotas", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {credentials['admin_token']}")


async def used(url: str, plain: str, account: str, count: int) -> list[Answer]:
    """Use a token many times at once, in its three ways."""
    async with ClientSession(url) as session:
        holder, proxy = Caller(session, f"Bearer {plain}"), Asked(session, account)
        ways = (
            lambda: holder.get("/v1/tokens/self"),
            lambda: holder.post("/v1/exchange"),
            lambda: proxy.about({"Authorization": f"Bearer {plain}"}),
        )
        return await asyncio.gather(*(ways[n % 3]() for n in range(count)))


async def test_exactly_max_uses_are_accepted_over_three_processes(database: Database, tmp_path: Path) -> None:
    credentials = await founded(settings_for(database.app_url), "three", tmp_path)
    async with several(database, 3) as urls, ClientSession(urls[0]) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        issued = await admin.issue(scopes=["invoices.read"], max_uses=100)
        assert (issued["token"]["max_uses"], issued["token"]["uses_left"]) == (100, 100)
        account, path = issued["token"]["account"], f"/v1/tokens/{issued['token']['id']}"
        answers = await asyncio.gather(*(used(url, issued["secret"], account, 60) for url in urls))
        document = (await admin.get(path)).json
    told = Counter(answer.status for each in answers for answer in each)
    refused = {answer.problem for each in answers for answer in each if answer.status == 401}
    assert (told, refused) == ({200: 100, 401: 80}, {"uses-exhausted"})
    assert (document["uses_left"], document["refused"], document["status"]) == (0, "uses-exhausted", "active")


async def test_every_way_to_present_a_secret_or_a_bearer_is_a_use(admin: Caller) -> None:
    issued = await admin.issue(scopes=["invoices.read"], max_uses=6)
    path, holder = f"/v1/tokens/{issued['token']['id']}", admin.with_token(issued["secret"])
    proxy = Asked(admin.session, issued["token"]["account"])

    async def left() -> int:
        return int((await admin.get(path)).json["uses_left"])

    bearer = (await holder.post("/v1/exchange")).json["access_token"]
    assert await left() == 5
    assert (await admin.form("/v1/introspect", token=issued["secret"])).json["active"] is True
    assert await left() == 4
    assert (await Caller(admin.session, "").form("/v1/oauth/token", **EXCHANGE, subject_token=bearer)).status == 200
    assert await left() == 3
    assert (await proxy.about({"Authorization": f"Bearer {bearer}"})).status == 200
    assert await left() == 2
    assert (await admin.form("/v1/introspect", token=bearer)).json["active"] is True
    assert (await admin.with_token(bearer).get("/v1/tokens/self")).json["uses_left"] == 0
    for refused in (
        await holder.get("/v1/tokens/self"),
        await holder.post("/v1/exchange"),
        await admin.with_token(bearer).get("/v1/tokens/self"),
        await proxy.about({"Authorization": f"Bearer {issued['secret']}"}),
    ):
        assert (refused.status, refused.problem) == (401, "uses-exhausted")
        assert "max_uses" in refused.json["detail"]
    assert (await admin.form("/v1/introspect", token=issued["secret"])).json == {"active": False}
    assert (await Caller(admin.session, "").form("/v1/oauth/token", **EXCHANGE, subject_token=bearer)).status == 400


async def test_more_uses_make_a_token_usable_again_and_a_new_secret_does_not(admin: Caller) -> None:
    issued = await admin.issue(max_uses=1)
    path = f"/v1/tokens/{issued['token']['id']}"
    assert (await admin.with_token(issued["secret"]).get("/v1/tokens/self")).status == 200
    rotated = (await admin.post(f"{path}/rotate", {"grace": "0s"})).json
    assert rotated["token"]["uses_left"] == 0
    holder = admin.with_token(rotated["secret"])
    assert (await holder.get("/v1/tokens/self")).problem == "uses-exhausted"
    changed = (await admin.patch(path, {"max_uses": 3})).json
    assert (changed["max_uses"], changed["uses_left"], changed["refused"]) == (3, 2, None)
    assert [(await holder.get("/v1/tokens/self")).status for _ in range(3)] == [200, 200, 401]
    assert (await admin.patch(path, {"max_uses": None})).json["uses_left"] is None
    assert [(await holder.get("/v1/tokens/self")).status for _ in range(3)] == [200] * 3
    events = (await admin.get(f"{path}/events")).json["items"]
    assert [event["data"].get("max_uses", "-") for event in events] == [1, "-", 3, None]
    then = (await admin.get(f"{path}?as_of=1")).json
    assert (then["max_uses"], then["uses_left"]) == (1, None)


async def test_a_caller_with_limited_uses_issues_clones_and_imports_no_token_with_more(admin: Caller) -> None:
    issued = await admin.issue(scopes=["tokens.*"], max_uses=50)
    few = admin.with_token(issued["secret"])
    for wider in ({}, {"max_uses": 51}):
        assert (await few.post("/v1/tokens", {"name": "n", **wider})).problem == "beyond-caller"
    made = (await few.post("/v1/tokens", {"name": "n", "max_uses": 50})).json["token"]
    assert made["max_uses"] == 50
    assert (await few.post(f"/v1/tokens/{made['id']}/clone", {})).json["token"]["max_uses"] == 50
    assert (await few.post(f"/v1/tokens/{made['id']}/clone", {"max_uses": None})).problem == "beyond-caller"
    assert (await few.patch(f"/v1/tokens/{made['id']}", {"max_uses": None})).problem == "beyond-caller"
    item = {"name": "old", "secret": "kT7-pQ2_vR9-xZ4_mW8-cB3_nH6-jL1_"}
    report = (await few.post("/v1/tokens/import", {"tokens": [item]})).json
    assert report["results"][0]["problem"]["type"].endswith("beyond-caller")
    report = (await few.post("/v1/tokens/import", {"tokens": [{**item, "max_uses": 3}]})).json
    assert report["results"][0]["status"] == "imported"
    assert (await admin.with_token(item["secret"]).get("/v1/tokens/self")).json["uses_left"] == 2


@pytest.mark.parametrize("number", [0, -1, 1_000_000_001, "3", 1.5])
async def test_an_invalid_number_of_uses_is_refused_with_its_field(admin: Caller, number: object) -> None:
    refused = await admin.post("/v1/tokens", {"name": "n", "max_uses": number})
    assert (refused.status, refused.problem) == (422, "invalid-request")


async def test_a_failed_operation_costs_a_use_and_a_rate_limited_one_does_not(admin: Caller) -> None:
    issued = await admin.issue(max_uses=5, rate_limit="2/10m")
    holder, path = admin.with_token(issued["secret"]), f"/v1/tokens/{issued['token']['id']}"
    missing = "/v1/tokens/00000000-0000-0000-0000-000000000009"
    assert [(await holder.get(missing)).status for _ in range(5)] == [403, 403, 429, 429, 429]
    assert (await admin.get(path)).json["uses_left"] == 3


async def test_a_use_counted_before_a_crash_is_lost_and_never_given_twice(database: Database) -> None:
    """The count is committed before the request is accepted: a crash in between loses a use."""
    pool = await open_pool(database.app_url, size=2)
    account, token = UUID(int=1), UUID(int=2)
    async with pool:
        uses = CountedUses(pool)
        dying = [asyncio.create_task(uses.count(account, token, Limits(max_uses=10))) for _ in range(4)]
        await asyncio.sleep(0)
        for task in dying:
            task.cancel()
        answers = await asyncio.gather(
            *(CountedUses(pool).count(account, token, Limits(max_uses=10)) for _ in range(10)), return_exceptions=True
        )
        assert sum(answer is None for answer in answers) <= 10
        row = await pool.fetchrow(
            "select used from counted_use where account_id = $1 and subject_id = $2", account, token
        )
        assert row is not None
        assert row["used"] == 10
        assert all(isinstance(answer, UsesExhausted) for answer in answers if answer is not None)


async def test_one_statement_grants_the_remaining_uses_and_a_lower_number_applies_at_once(database: Database) -> None:
    pool = await open_pool(database.app_url, size=1)
    one, two = (UUID(int=n) for n in (1, 2))
    async with pool:
        assert await counted_use.take(pool, [(one, one, 3, 5), (one, two, 9, 2)]) == {(one, one): 3, (one, two): 2}
        assert await counted_use.take(pool, [(one, one, 3, 5), (one, two, 1, 2)]) == {(one, one): 2}
        assert await counted_use.take(pool, [(one, one, 1, 4)]) == {}
        assert await counted_use.take(pool, [(one, one, 1, 6), (two, one, 1, 1)]) == {(one, one): 1, (two, one): 1}
