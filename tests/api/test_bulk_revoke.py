"""Bulk revocation: exactly the planned tokens are revoked, once, by a caller who may."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from api.service import Answer, Caller
from counterfoil.door import Door, queue
from counterfoil.postgres.connection import Connection, open_pool
from counterfoil.settings import Settings
from counterfoil_api.handling import reading
from counterfoil_dev.postgres import OWNER, Postgres
from counterfoil_worker.bulk_revocations import BulkRevocations

PLAN = "/v1/revocations/plan"
JOBS = "/v1/revocations"


@pytest_asyncio.fixture
async def worker(api_settings: Settings) -> AsyncIterator[BulkRevocations]:
    """Run the jobs of a worker process that was woken."""
    async with await open_pool(api_settings.database_url, size=4) as pool, Door(api_settings.database_url) as door:
        yield BulkRevocations(pool, door)


@pytest_asyncio.fixture
async def owner(api_settings: Settings, postgres_server: Postgres) -> AsyncIterator[Connection]:
    """A connection that may hold locks that the service needs."""
    assert api_settings.database_url == postgres_server.database("api").app_url
    connection = await asyncpg.connect(postgres_server.url(OWNER, "api"))
    yield connection
    await connection.close()


async def several(caller: Caller, count: int, **fields: Any) -> list[Any]:
    """Tokens that one filter finds and that no other test has; the first one has been exchanged."""
    name = f"bulk-{uuid4().hex}"
    issued = [await caller.issue(name=f"{name}-{n}", scopes=["a.b"], **fields) for n in range(count)]
    return [name, *issued]


async def planned(caller: Caller, **wanted: Any) -> Any:
    answer = await caller.post(PLAN, {"filter": wanted})
    assert answer.status == 200, answer.body
    return answer.json


async def ordered(caller: Caller, plan: str, /, reason: str = "leaked", key: str = "", **wanted: Any) -> Answer:
    headers = {"Idempotency_Key": key} if key else {}
    return await caller.post(JOBS, {"filter": wanted, "plan": plan, "reason": reason}, **headers)


async def bulk_revocation_id(caller: Caller, revocation: str) -> Any:
    return (await caller.get(f"{JOBS}/{revocation}")).json


async def works(caller: Caller, token: Any) -> bool:
    return (await caller.with_token(token["secret"]).get("/v1/tokens/self")).status == 200


async def test_a_plan_shows_its_consequences_and_changes_nothing(admin: Caller) -> None:
    name, first, second, third = await several(admin, 3, owner={"type": "service", "id": f"own-{uuid4().hex}"})
    owner = first["token"]["owner"]
    await admin.with_token(first["secret"]).post("/v1/exchange", {})
    plan = await planned(admin, name=f"{name}*")
    assert (plan["tokens"], plan["includes_yourself"]) == (3, False)
    assert plan["used"] == {"hour": 1, "day": 1, "week": 1, "never": 2}
    assert plan["owners"] == [{"owner": owner, "tokens": 3, "used_in_week": 1}]
    assert [each["number"] for each in plan["used_last"]] == [
        each["token"]["number"] for each in (first, second, third)
    ]
    assert await planned(admin, owner_id=owner["id"]) == plan
    assert all([await works(admin, each) for each in (first, second, third)])


async def test_a_bulk_revocation_revokes_exactly_the_plan_and_is_named_in_every_log(
    admin: Caller, worker: BulkRevocations
) -> None:
    name, *tokens = await several(admin, 4)
    _, bystander = await several(admin, 1)
    plan = await planned(admin, name=f"{name}*")
    answer = await ordered(admin, plan["plan"], reason="the vault was copied", name=f"{name}*")
    accepted = answer.json
    assert (answer.status, accepted["status"], accepted["total"], accepted["done"]) == (201, "accepted", 4, 0)
    assert answer.headers["Location"] == f"{JOBS}/{accepted['id']}"
    assert accepted["filter"] == {"name": f"{name}*"}
    await worker.work()
    done = await bulk_revocation_id(admin, accepted["id"])
    assert (done["status"], done["done"], done["revoked"], done["already"], done["failed"]) == ("finished", 4, 4, 0, 0)
    assert done["per_second"] > 0
    for each in tokens:
        shown = (await admin.get(f"/v1/tokens/{each['token']['id']}")).json
        assert (shown["status"], shown["reason"]) == ("revoked", "the vault was copied")
        event = (await admin.get(f"/v1/tokens/{each['token']['id']}/events")).json["items"][-1]
        assert (event["type"], event["data"]["bulk_revocation"]) == ("revoked", accepted["id"])
        assert event["by"] == {**accepted["created_by"], "number": 1, "name": "administrator"}
        assert not await works(admin, each)
    assert await works(admin, bystander)


async def test_using_renaming_or_suspending_a_token_keeps_a_plan_valid(admin: Caller) -> None:
    name, one, two = await several(admin, 2, lifetime="1d")
    before = (await planned(admin, name=f"{name}*"))["plan"]
    ref = f"/v1/tokens/{one['token']['id']}"
    await admin.with_token(one["secret"]).post("/v1/exchange", {})
    await works(admin, two)
    await admin.patch(ref, {"name": f"{name}-renamed", "description": "x"})
    await admin.post(f"{ref}/suspend", {})
    await admin.post(f"{ref}/renew", {"lifetime": "2d"})
    assert (await planned(admin, name=f"{name}*"))["plan"] == before


@pytest.mark.parametrize("change", ["rotated", "revoked", "created", "renamed away"])
async def test_a_changed_plan_is_refused_with_the_new_plan(admin: Caller, worker: BulkRevocations, change: str) -> None:
    name, one, two = await several(admin, 2)
    plan = (await planned(admin, name=f"{name}*"))["plan"]
    ref = f"/v1/tokens/{one['token']['id']}"
    match change:
        case "rotated":
            await admin.post(f"{ref}/rotate", {"grace": "1h"})
        case "revoked":
            await admin.post(f"{ref}/revoke", {"reason": "by itself"})
        case "created":
            await admin.issue(name=f"{name}-new")
        case _:
            await admin.patch(ref, {"name": "elsewhere"})
    refused = await ordered(admin, plan, name=f"{name}*")
    assert (refused.status, refused.problem) == (409, "plan-changed")
    assert refused.json["tokens"] == {"rotated": 2, "created": 3}.get(change, 1)
    await worker.work()
    assert await works(admin, two)
    again = await ordered(admin, refused.json["plan"], name=f"{name}*")
    assert again.status == 201
    await worker.work()
    assert not await works(admin, two)


async def test_the_same_key_gives_the_same_bulk_revocation(admin: Caller, worker: BulkRevocations) -> None:
    name, *_ = await several(admin, 2)
    plan, key = (await planned(admin, name=f"{name}*"))["plan"], uuid4().hex
    at_once = await asyncio.gather(*(ordered(admin, plan, key=key, name=f"{name}*") for _ in range(4)))
    assert {answer.status for answer in at_once} == {201}
    assert len({answer.json["id"] for answer in at_once}) == 1
    await worker.work()
    late = await ordered(admin, plan, key=key, name=f"{name}*")
    assert (late.json["id"], late.json["status"], late.json["revoked"]) == (at_once[0].json["id"], "finished", 2)


@pytest.mark.parametrize("other", ["reason", "filter", "plan"])
async def test_the_same_key_with_another_request_is_refused(admin: Caller, worker: BulkRevocations, other: str) -> None:
    name, one, _ = await several(admin, 2)
    wanted, key = {"name": f"{name}*"}, uuid4().hex
    plan = (await planned(admin, **wanted))["plan"]
    revocation = (await ordered(admin, plan, key=key, **wanted)).json
    match other:
        case "reason":
            refused = await ordered(admin, plan, reason="for another reason", key=key, **wanted)
        case "filter":
            refused = await ordered(admin, plan, key=key, owner_type="user", **wanted)
        case _:
            await admin.post(f"/v1/tokens/{one['token']['id']}/revoke", {"reason": "by itself"})
            refused = await ordered(admin, (await planned(admin, **wanted))["plan"], key=key, **wanted)
    assert (refused.status, refused.problem) == (422, "key-reused")
    again = await ordered(admin, plan, key=key, **wanted)
    assert (again.status, again.json["id"], again.json["reason"]) == (201, revocation["id"], "leaked")
    await worker.work()
    assert (await bulk_revocation_id(admin, revocation["id"]))["done"] == 2


async def test_of_two_simultaneous_requests_under_one_key_one_is_accepted(
    admin: Caller, worker: BulkRevocations
) -> None:
    name, *_ = await several(admin, 2)
    plan, key = (await planned(admin, name=f"{name}*"))["plan"], uuid4().hex
    answers = await asyncio.gather(
        *(ordered(admin, plan, reason=reason, key=key, name=f"{name}*") for reason in ("one", "the other") * 2)
    )
    assert sorted(answer.status for answer in answers) == [201, 201, 422, 422]
    assert len({answer.json["id"] for answer in answers if answer.status == 201}) == 1
    await worker.work()


async def test_the_same_request_under_its_key_finishes_a_started_one(
    admin: Caller, worker: BulkRevocations, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 2.0)
    name, *_ = await several(admin, 2)
    plan, key = (await planned(admin, name=f"{name}*"))["plan"], uuid4().hex
    parts = "select array_agg(distinct bulk_revocation_id) from bulk_revocation_part where staged_at > $1"
    before = await owner.fetchval("select clock_timestamp()")
    async with owner.transaction():
        await owner.execute("lock table subject in exclusive mode")
        begun = await ordered(admin, plan, key=key, name=f"{name}*")
        assert (begun.status, begun.headers["Retry-After"]) == (503, "1")
    assert len(frozen := await owner.fetchval(parts, before)) == 1
    done = await ordered(admin, plan, key=key, name=f"{name}*")
    assert (done.status, done.json["id"]) == (201, str(frozen[0]))
    assert await owner.fetchval(parts, before) == frozen
    await worker.work()
    assert (await bulk_revocation_id(admin, done.json["id"]))["revoked"] == 2


async def test_slow_plans_leave_connections_for_other_reads(
    admin: Caller, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_WAIT_SECONDS", 0.5)
    name, *_ = await several(admin, 1)
    plan = (await planned(admin, name=f"{name}*"))["plan"]
    async with owner.transaction():
        await owner.execute("lock table token_use")  # every plan reads it, and no other request does
        orders = [asyncio.create_task(ordered(admin, plan, name=f"{name}*")) for _ in range(4)]
        looks = [asyncio.create_task(admin.post(PLAN, {"filter": {"name": f"{name}*"}})) for _ in range(4)]
        refused = [await each for each in itertools.islice(asyncio.as_completed([*orders, *looks]), 6)]
        async with asyncio.timeout(5):
            assert (await admin.get(JOBS)).status == 200
    assert {(each.status, each.problem, each.headers["Retry-After"]) for each in refused} == {(503, "overloaded", "10")}
    late = [each.status for each in await asyncio.gather(*orders, *looks)]
    assert len(late) - late.count(503) == 2
    assert (await planned(admin, name=f"{name}*"))["plan"] == plan
    for revocation in (await admin.get(JOBS)).json["items"]:
        await admin.post(f"{JOBS}/{revocation['id']}/cancel", {})


async def test_two_bulk_revocations_of_the_same_tokens_revoke_each_once(admin: Caller, worker: BulkRevocations) -> None:
    name, *tokens = await several(admin, 5)
    plan = (await planned(admin, name=f"{name}*"))["plan"]
    revocations = [(await ordered(admin, plan, name=f"{name}*")).json["id"] for _ in range(2)]
    await worker.work()
    done = [await bulk_revocation_id(admin, revocation) for revocation in revocations]
    assert [revocation["status"] for revocation in done] == ["finished", "finished"]
    assert (
        sum(revocation["revoked"] for revocation in done)
        == sum(revocation["already"] for revocation in done)
        == len(tokens)
    )


async def test_a_cancelled_bulk_revocation_revokes_no_further_tokens(admin: Caller, worker: BulkRevocations) -> None:
    name, one = await several(admin, 1)
    revocation = (await ordered(admin, (await planned(admin, name=f"{name}*"))["plan"], name=f"{name}*")).json["id"]
    cancelled = await admin.post(f"{JOBS}/{revocation}/cancel", {})
    assert cancelled.json["status"] == "cancelled"
    await worker.work()
    assert await works(admin, one)
    assert (await admin.post(f"{JOBS}/{revocation}/cancel", {})).json["status"] == "cancelled"
    assert (await bulk_revocation_id(admin, revocation))["done"] == 0


async def test_a_bulk_revocation_goes_on_after_revoking_the_token_that_requested_it(
    admin: Caller, worker: BulkRevocations
) -> None:
    owner = {"type": "service", "id": f"own-{uuid4().hex}"}
    asking = await admin.holder("tokens.revoke", owner=owner)
    others = [await admin.issue(owner=owner) for _ in range(3)]
    plan = await planned(asking, owner_id=owner["id"])
    assert (plan["tokens"], plan["includes_yourself"]) == (4, True)
    revocation = (await ordered(asking, plan["plan"], owner_id=owner["id"])).json["id"]
    await worker.work()
    done = await bulk_revocation_id(admin, revocation)
    assert (done["status"], done["revoked"], done["failed"]) == ("finished", 4, 0)
    assert (await asking.get("/v1/tokens/self")).problem == "token-revoked"
    assert not any([await works(admin, each) for each in others])


async def test_a_caller_who_may_revoke_only_own_tokens_selects_no_others(
    admin: Caller, worker: BulkRevocations
) -> None:
    mine = {"type": "service", "id": f"own-{uuid4().hex}"}
    asking = await admin.holder("own.revoke", owner=mine, name="the one who asks")
    name, theirs = await several(admin, 1)
    own = await admin.issue(owner=mine, name=f"{name}-own")
    plan = await planned(asking, name=f"{name}*")
    assert plan["tokens"] == 1
    assert plan != await planned(admin, name=f"{name}*")
    assert (await asking.post(PLAN, {"filter": {"owner_id": "somebody"}})).problem == "scope-missing"
    revocation = (await ordered(asking, plan["plan"], name=f"{name}*")).json["id"]
    other = (await ordered(admin, (await planned(admin, name=f"{name}*"))["plan"], name=f"{name}*")).json["id"]
    assert [each["id"] for each in (await asking.get(JOBS)).json["items"]] == [revocation]
    assert (await asking.get(f"{JOBS}/{other}")).problem == "not-found"
    assert (await asking.post(f"{JOBS}/{other}/cancel", {})).problem == "not-found"
    assert (await admin.post(f"{JOBS}/{other}/cancel", {})).status == 200
    await worker.work()
    assert (await works(admin, own), await works(admin, theirs)) == (False, True)
    reader = await admin.holder("tokens.read")
    for answer in (
        await reader.post(PLAN, {"filter": {"name": "x"}}),
        await reader.get(JOBS),
        await ordered(reader, "0" * 64, name="x"),
    ):
        assert answer.problem == "scope-missing"


async def test_bulk_revocations_of_another_account_are_not_found(
    admin: Caller, stranger: Caller, worker: BulkRevocations
) -> None:
    name, one = await several(admin, 1)
    plan = (await planned(admin, name=f"{name}*"))["plan"]
    assert (await planned(stranger, name=f"{name}*"))["tokens"] == 0
    assert (await ordered(stranger, plan, name=f"{name}*")).problem == "plan-changed"
    revocation = (await ordered(admin, plan, name=f"{name}*")).json["id"]
    for ref in (revocation, str(uuid4())):
        assert (await stranger.get(f"{JOBS}/{ref}")).problem == "not-found"
        assert (await stranger.post(f"{JOBS}/{ref}/cancel", {})).problem == "not-found"
    assert revocation not in str((await stranger.get(JOBS)).json)
    await worker.work()
    assert not await works(admin, one)


@pytest.mark.parametrize(
    "wanted", [{}, {"everything": False}, {"everything": True, "name": "x*"}, {"nmae": "x"}, {"name": None}]
)
async def test_an_empty_filter_never_means_everything(admin: Caller, wanted: Any) -> None:
    assert (await admin.post(PLAN, {"filter": wanted})).problem == "invalid-request"
    assert (await ordered(admin, "0" * 64, **wanted)).problem == "invalid-request"


async def test_all_tokens_of_an_account_can_be_revoked_in_one_call(stranger: Caller) -> None:
    plan = await planned(stranger, everything=True)
    assert plan["tokens"] > 0
    assert plan["includes_yourself"]


async def test_unused_tokens_existed_in_the_period_and_were_not_used(admin: Caller) -> None:
    name, used, unused = await several(admin, 2)
    moment = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    await admin.with_token(used["secret"]).post("/v1/exchange", {})
    assert (await planned(admin, name=f"{name}*", unused_since=moment))["tokens"] == 2
    assert (await planned(admin, name=f"{name}*", unused_since=past))["tokens"] == 0
    listed = (await admin.get("/v1/tokens", name=f"{name}*", unused_since=moment)).json["items"]
    assert {each["id"] for each in listed} == {used["token"]["id"], unused["token"]["id"]}


async def test_bulk_revocations_are_listed_page_by_page_latest_first(admin: Caller) -> None:
    name, *_ = await several(admin, 1)
    plan = (await planned(admin, name=f"{name}*"))["plan"]
    revocations = [(await ordered(admin, plan, name=f"{name}*")).json["id"] for _ in range(3)]
    for revocation in revocations:
        await admin.post(f"{JOBS}/{revocation}/cancel", {})
    first = (await admin.get(JOBS, limit=2)).json
    second = (await admin.get(JOBS, limit=2, cursor=first["next_cursor"])).json
    assert [each["id"] for each in (*first["items"], *second["items"])][:3] == list(reversed(revocations))


async def test_a_secret_in_a_reason_is_refused(admin: Caller) -> None:
    name, one = await several(admin, 1)
    plan = (await planned(admin, name=f"{name}*"))["plan"]
    assert (await ordered(admin, plan, reason=f"saw {one['secret']}", name=f"{name}*")).problem == "bad-text"
