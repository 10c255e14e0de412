"""The creator as a filter of lists, bulk revocations and alerts, even after the creator has ended."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from api.service import Caller
from api.user_fixtures import person
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.settings import Settings
from counterfoil_worker.bulk_revocations import BulkRevocations

MINTS = ("tokens.create", "tokens.read", "own.*", "a.b")


@pytest_asyncio.fixture
async def worker(api_settings: Settings) -> AsyncIterator[BulkRevocations]:
    """Run the jobs of a worker process that was woken."""
    async with await open_pool(api_settings.database_url, size=4) as pool, Door(api_settings.database_url) as door:
        yield BulkRevocations(pool, door)


async def minter(admin: Caller) -> tuple[Any, Caller]:
    """A token that may create tokens, as a caller."""
    issued = await admin.issue(name="minter", scopes=MINTS, owner={"type": "service", "id": f"ci-{uuid4().hex}"})
    return issued["token"], admin.with_token(issued["secret"])


async def made_by(caller: Caller, creator: object, **query: object) -> list[str]:
    """The names of the tokens of this creator, page after page."""
    found: list[str] = []
    query |= {"creator": creator}
    while True:
        page = await caller.get("/v1/tokens", **query)
        assert page.status == 200, page.body
        found += [token["name"] for token in page.json["items"]]
        if page.json["next_cursor"] is None:
            return found
        query["cursor"] = page.json["next_cursor"]


async def test_tokens_of_a_creator_are_listed_by_its_number_and_its_id(admin: Caller) -> None:
    token, minting = await minter(admin)
    for n in range(5):
        await minting.issue(name=f"child {n}", scopes=["a.b"])
    expected = [f"child {n}" for n in range(5)]
    assert await made_by(admin, f"token:{token['number']}") == expected
    assert await made_by(admin, token["id"], limit=2) == expected
    assert await made_by(admin, f"token:{token['id']}", sort="-name", limit=2) == expected[::-1]
    assert await made_by(minting, "token:self", limit=1) == expected
    assert await made_by(admin, f"token:{token['number']}", name="child 3") == ["child 3"]


async def test_a_cursor_of_another_creator_is_refused(admin: Caller) -> None:
    one, minting = await minter(admin)
    other, _ = await minter(admin)
    for _ in range(2):
        await minting.issue()
    cursor = (await admin.get("/v1/tokens", creator=one["id"], limit=1)).json["next_cursor"]
    assert (await admin.get("/v1/tokens", creator=other["id"], limit=1, cursor=cursor)).problem == "bad-cursor"


async def test_tokens_of_a_revoked_creator_are_still_found(admin: Caller) -> None:
    token, minting = await minter(admin)
    await minting.issue(name="orphan")
    await admin.post(f"/v1/tokens/{token['id']}/revoke", {"reason": "leaked"})
    assert await made_by(admin, f"token:{token['number']}") == ["orphan"]


async def test_tokens_of_a_removed_user_are_found_and_revoked_at_once(admin: Caller, worker: BulkRevocations) -> None:
    left = await person(admin, "administrator")
    service = {"type": "service", "id": f"left-behind-{uuid4().hex}"}
    issued = [await left.asks().issue(name=f"left behind {n}", owner=service) for n in range(3)]
    assert await made_by(admin, f"user:{left.email}") == [f"left behind {n}" for n in range(3)]
    await admin.post(f"/v1/users/{left.id}/remove", {"reason": "Left the company."})
    assert await made_by(admin, f"user:{left.number}") == [f"left behind {n}" for n in range(3)]
    wanted = {"creator": f"user:{left.number}"}
    plan = (await admin.post("/v1/revocations/plan", {"filter": wanted})).json
    assert (plan["tokens"], plan["owners"]) == (3, [{"owner": service, "tokens": 3, "used_in_week": 0}])
    revocation = (await admin.post("/v1/revocations", {"filter": wanted, "plan": plan["plan"], "reason": "Left."})).json
    assert revocation["filter"] == {"creator": left.id}
    await worker.work()
    for each in issued:
        assert (await admin.with_token(each["secret"]).get("/v1/tokens/self")).problem == "token-revoked"


async def test_a_creator_of_another_account_is_reported_as_unknown(admin: Caller, stranger: Caller) -> None:
    theirs = (await stranger.get("/v1/tokens/self")).json
    for path in ("/v1/tokens", "/v1/alerts"):
        never, foreign = [await admin.get(path, creator=f"token:{each}") for each in (uuid4(), theirs["id"])]
        assert (foreign.status, foreign.problem) == (422, "unknown-user")
        assert {**never.json, "request_id": ""} == {**foreign.json, "request_id": ""}
    token, minting = await minter(admin)
    await minting.issue()
    assert (await stranger.get("/v1/tokens", creator=f"token:{token['id']}")).problem == "unknown-user"


@pytest.mark.parametrize("ref", ["7", "nobody", "token:", "user:nobody@example.org", "token:self"])
async def test_an_invalid_creator_is_refused_with_valid_forms(admin: Caller, ref: str) -> None:
    user = await person(admin, "administrator")
    for path in ("/v1/tokens", "/v1/alerts"):
        refused = await user.asks().get(path, creator=ref)
        assert (refused.status, refused.json["field"]) == (422, "creator"), refused.body
        assert "user:" in refused.json["detail"]


async def test_a_caller_limited_to_own_tokens_sees_only_those_of_a_creator(admin: Caller) -> None:
    token, minting = await minter(admin)
    theirs = await admin.issue(name="theirs", scopes=["own.read", "own.revoke"], owner=token["owner"])
    await minting.issue(name="own", owner=token["owner"])
    await minting.issue(name="another's", owner={"type": "service", "id": f"other-{uuid4().hex}"})
    owner = admin.with_token(theirs["secret"])
    assert await made_by(owner, f"token:{token['number']}") == ["own"]
    assert await made_by(owner, f"token:{uuid4()}") == []
    assert (await owner.post("/v1/revocations/plan", {"filter": {"creator": token["id"]}})).json["tokens"] == 1


async def test_alerts_are_filtered_by_creator(admin: Caller) -> None:
    token, minting = await minter(admin)
    for n in range(3):
        await minting.issue(name=f"soon {n}", lifetime="30m")
    await admin.issue(name="also soon", lifetime="30m")
    query = {"creator": f"token:{token['number']}", "within": "1h"}
    first = (await admin.get("/v1/alerts", limit=2, **query)).json
    rest = (await admin.get("/v1/alerts", limit=2, cursor=first["next_cursor"], **query)).json
    found = [alert["token"]["name"] for alert in first["items"] + rest["items"]]
    assert found == [f"soon {n}" for n in range(3)]
    assert (first["unannounced"], rest["next_cursor"]) == (3, None)
    del query["creator"]
    assert (await admin.get("/v1/alerts", limit=2, cursor=first["next_cursor"], **query)).problem == "bad-cursor"
