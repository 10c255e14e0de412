"""Quotas of owners are exact over processes, for every way to create or revive a token, and limited to one account."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from api.service import Answer, Caller, founded, served, settings_for
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from security.processes import several

OWNER = {"type": "service", "id": "billing"}
QUOTA = "/v1/owners/service/billing/quota"


@pytest.fixture
async def place(database: Database, tmp_path: Path) -> AsyncIterator[tuple[Caller, Caller]]:
    """The administrators of two accounts."""
    settings = settings_for(database.app_url)
    directories = {name: tmp_path / name for name in ("ours", "theirs")}
    for directory in directories.values():
        directory.mkdir()
    ours, theirs = [await founded(settings, name, directory) for name, directory in directories.items()]
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        yield tuple(Caller(session, f"Bearer {each['admin_token']}") for each in (ours, theirs))  # type: ignore[misc]


@pytest.fixture
def admin(place: tuple[Caller, Caller]) -> Caller:
    return place[0]


async def make(caller: Caller, **stated: Any) -> Answer:
    return await caller.post("/v1/tokens", {"name": "n", "owner": OWNER, **stated})


async def put(caller: Caller, path: str = QUOTA, **quota: Any) -> Answer:
    return await caller.put(path, quota)


async def test_exactly_max_tokens_are_created_over_three_processes(database: Database, tmp_path: Path) -> None:
    credentials = await founded(settings_for(database.app_url), "three", tmp_path)
    async with several(database, 3) as urls, ClientSession(urls[0]) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        assert (await put(admin, max_tokens=25)).status == 200

        async def many(url: str) -> list[int]:
            async with ClientSession(url) as another:
                caller = Caller(another, admin.credentials)
                return [answer.status for answer in await asyncio.gather(*(make(caller) for _ in range(20)))]

        statuses = Counter(status for each in await asyncio.gather(*map(many, urls)) for status in each)
        assert statuses == {201: 25, 409: 35}
        shown = (await admin.get(QUOTA)).json
        assert (shown["tokens"], shown["max_tokens"]) == (25, 25)


async def test_an_owners_rate_and_uses_are_exact_over_three_processes(
    database: Database, valkey: Valkey, tmp_path: Path
) -> None:
    limits = valkey.database(5)
    async with Redis.from_url(limits) as redis:
        await redis.flushdb()
    credentials = await founded(settings_for(database.app_url), "rates", tmp_path)
    async with several(database, 3, LIMITS_REDIS_URL=limits) as urls, ClientSession(urls[0]) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        secrets = [(await make(admin)).json["secret"] for _ in range(3)]

        async def used(url: str, plain: str) -> list[Answer]:
            async with ClientSession(url) as another:
                holder = Caller(another, f"Bearer {plain}")
                return await asyncio.gather(*(holder.get("/v1/tokens/self") for _ in range(20)))

        async def round_of() -> list[Answer]:
            found = await asyncio.gather(*(used(url, plain) for url, plain in zip(urls, secrets, strict=True)))
            return [answer for each in found for answer in each]

        await put(admin, rate_limit="30/10m")
        answers = await round_of()
        assert Counter(answer.status for answer in answers) == {200: 30, 429: 30}
        assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"owner";q=30;w=600'}
        await put(admin, max_uses=40)
        answers = await round_of()
        assert Counter(answer.status for answer in answers) == {200: 40, 401: 20}
        assert {answer.problem for answer in answers if answer.status == 401} == {"uses-exhausted"}
        assert (await admin.get(QUOTA)).json["uses_left"] == 0
        assert (await put(admin, max_uses=41)).json["uses_left"] == 1
        assert (await Caller(session, f"Bearer {secrets[0]}").get("/v1/tokens/self")).status == 200


async def test_no_command_creates_or_revives_more_tokens_than_the_quota_allows(admin: Caller) -> None:
    await put(admin, max_tokens=2)
    first, second = [(await make(admin)).json["token"] for _ in range(2)]
    path = f"/v1/tokens/{first['id']}"
    item = {"name": "old", "owner": OWNER, "secret": "kT7-pQ2_vR9-xZ4_mW8-cB3_nH6-jL1_"}
    for dry_run in (True, False):
        (told,) = (await admin.post("/v1/tokens/import", {"tokens": [item], "dry_run": dry_run})).json["results"]
        assert told["problem"]["type"].endswith("owner-quota-exceeded")
    for refused in (await make(admin), await admin.post(f"{path}/clone", {})):
        assert (refused.status, refused.problem) == (409, "owner-quota-exceeded")
        assert (refused.json["max_tokens"], refused.json["live"]) == (2, 2)
        assert "revoke one of them, or raise" in refused.json["detail"]
    # Active tokens are still changed, renewed, rotated, suspended and resumed.
    assert (await admin.post(f"{path}/renew", {"lifetime": "1d"})).status == 200
    assert (await admin.post(f"{path}/rotate", {"grace": "0s"})).status == 200
    assert (await admin.post(f"{path}/suspend", {})).status == 200
    assert (await make(admin)).problem == "owner-quota-exceeded"
    assert (await admin.post(f"{path}/resume", {})).status == 200
    # An expired one frees a place; once it is taken, the token can be neither renewed nor rotated.
    assert (await admin.post(f"{path}/renew", {"lifetime": "1ms"})).status == 200
    await asyncio.sleep(0.01)
    third = (await make(admin)).json["token"]
    assert (await admin.post(f"{path}/renew", {"lifetime": "1d"})).problem == "owner-quota-exceeded"
    assert (await admin.post(f"{path}/rotate", {"grace": "0s", "lifetime": "1d"})).problem == "owner-quota-exceeded"
    assert (await admin.post(f"/v1/tokens/{third['id']}/revoke", {"reason": "room"})).status == 200
    assert (await admin.post(f"{path}/renew", {"lifetime": "1d"})).status == 200
    assert (await admin.post(f"/v1/tokens/{second['id']}/revoke", {"reason": "room"})).status == 200
    assert (await make(admin)).status == 201
    # Other owners are not limited.
    assert (await admin.post("/v1/tokens", {"name": "n", "owner": {"type": "service", "id": "other"}})).status == 201


async def test_another_spelling_of_a_users_id_does_not_avoid_a_quota(admin: Caller) -> None:
    user = (await admin.post("/v1/users", {"email": "ada@example.org", "role": "member"})).json["user"]
    assert (await put(admin, "/v1/owners/user/ada@example.org/quota", max_tokens=1)).json["owner"]["id"] == user["id"]
    for spelt, status in ((user["id"], 201), (user["id"].upper(), 409), (user["id"].replace("-", ""), 409)):
        assert (await make(admin, owner={"type": "user", "id": spelt})).status == status


async def test_a_smaller_quota_revokes_nothing_and_a_removed_one_limits_nothing(admin: Caller) -> None:
    made = [(await make(admin)).json for _ in range(3)]
    quota = await put(admin, max_tokens=1)
    assert (quota.json["tokens"], quota.json["revision"]) == (3, 1)
    assert (await admin.with_token(made[2]["secret"]).get("/v1/tokens/self")).status == 200
    assert (await make(admin)).status == 409
    assert (await put(admin, max_tokens=1)).json["revision"] == 1
    assert (await admin.put(QUOTA, {"max_tokens": 9}, **{"If-Match": '"7"'})).status == 412
    assert (await admin.delete(QUOTA)).status == 200
    assert (await admin.get(QUOTA)).problem == "not-found"
    assert (await admin.delete(QUOTA)).problem == "not-found"
    assert (await make(admin)).status == 201
    assert (await put(admin)).problem == "bad-quota"
    events = (await admin.get("/v1/account/events")).json["items"]
    told = [event["type"] for event in events if event["subject"]["kind"] == "owner_quota"]
    assert told == ["removed", "set"]


async def test_quotas_belong_to_one_account_and_need_their_scopes(place: tuple[Caller, Caller]) -> None:
    ours, theirs = place
    await put(ours, max_tokens=1, rate_limit="600/1m")
    assert (await theirs.get(QUOTA)).problem == "not-found"
    assert (await theirs.get("/v1/owner-quotas")).json["items"] == []
    assert [(await make(theirs)).status for _ in range(3)] == [201] * 3
    assert [(await make(ours)).status for _ in range(2)] == [201, 409]
    member = ours.with_token((await ours.issue(scopes=["tokens.*"]))["secret"])
    for refused in (await member.get(QUOTA), await put(member, max_tokens=99), await member.delete(QUOTA)):
        assert (refused.status, refused.problem) == (403, "scope-missing")
    for n in range(3):
        await put(ours, f"/v1/owners/application/app-{n}/quota", max_tokens=n + 1)
    page = (await ours.get("/v1/owner-quotas?limit=2")).json
    rest = (await ours.get(f"/v1/owner-quotas?limit=2&cursor={page['next_cursor']}")).json
    assert [each["owner"]["id"] for each in (*page["items"], *rest["items"])] == ["app-0", "app-1", "app-2", "billing"]
    assert rest["next_cursor"] is None
