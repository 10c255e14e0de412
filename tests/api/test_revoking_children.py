"""Revoking with children also revokes all that a token or user created, at any depth, on request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from api.service import Answer, Caller
from api.user_fixtures import person
from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, open_pool
from counterfoil.settings import Settings
from counterfoil_dev.postgres import OWNER, Postgres
from counterfoil_worker.bulk_revocations import BulkRevocations

MINTS = ("tokens.create", "a.b")
ELSEWHERE = {"type": "service", "id": "elsewhere"}


@pytest_asyncio.fixture
async def worker(api_settings: Settings) -> AsyncIterator[BulkRevocations]:
    """Run the jobs of a worker process that was woken."""
    async with await open_pool(api_settings.database_url, size=4) as pool, Door(api_settings.database_url) as door:
        yield BulkRevocations(pool, door)


def service() -> dict[str, str]:
    return {"type": "service", "id": f"ci-{uuid4().hex}"}


async def minted(caller: Caller, *more: str, **fields: Any) -> tuple[Any, Caller]:
    """A token that may create tokens, as a caller."""
    issued = await caller.issue(scopes=(*MINTS, *more), **fields)
    return issued["token"], caller.with_token(issued["secret"])


async def line_of(caller: Caller, depth: int, *more: str) -> list[tuple[Any, Caller]]:
    """A chain of tokens of which each created the next; the caller created the first."""
    line = [await minted(caller, *more, owner=service())]
    for _ in range(depth):
        line.append(await minted(line[-1][1], *more, owner=line[0][0]["owner"]))
    return line


async def revoked(caller: Caller, token: Any, **fields: Any) -> Any:
    answer = await caller.post(f"/v1/tokens/{token['id']}/revoke", {"reason": "leaked", **fields})
    assert answer.status == 200, answer.body
    return answer.json


async def finished(caller: Caller, worker: BulkRevocations, revocation: str) -> Any:
    async with asyncio.timeout(60):
        while True:
            await worker.work()
            found = (await caller.get(f"/v1/revocations/{revocation}")).json
            if found["status"] == "finished":
                return found


async def statuses(caller: Caller, tokens: Sequence[Any]) -> list[str]:
    return [(await caller.get(f"/v1/tokens/{token['id']}")).json["status"] for token in tokens]


async def test_without_the_option_children_stay_active_and_the_reply_counts_them(admin: Caller) -> None:
    line = await line_of(admin, 2)
    await line[0][1].issue(name="another child")
    ended = await revoked(admin, line[0][0])
    assert ended["status"] == "revoked"
    assert ended["children"] == {"living": 2, "list": f"/v1/tokens?creator=token:{line[0][0]['number']}"}
    path, _, query = ended["children"]["list"].partition("?")
    assert len((await admin.get(path, **dict([query.split("=")]))).json["items"]) == 2
    assert await statuses(admin, [token for token, _ in line]) == ["revoked", "active", "active"]
    assert "children" not in (await admin.get(f"/v1/tokens/{line[0][0]['id']}")).json


async def test_with_children_all_descendants_are_revoked(admin: Caller, worker: BulkRevocations) -> None:
    line = await line_of(admin, 3)
    bystander = (await admin.issue(owner=line[0][0]["owner"]))["token"]
    ended = await revoked(admin, line[0][0], with_children=True)
    assert (ended["status"], ended["children"]["ending"], ended["children"]["left_alone"]) == ("revoked", 3, 0)
    revocation = await finished(admin, worker, ended["children"]["revocation"])
    assert (revocation["with_children"], revocation["total"], revocation["revoked"], revocation["failed"]) == (
        True,
        3,
        3,
        0,
    )
    assert revocation["reason"] == "leaked"
    assert await statuses(admin, [token for token, _ in line]) == ["revoked"] * 4
    assert await statuses(admin, [bystander]) == ["active"]
    event = (await admin.get(f"/v1/tokens/{line[3][0]['id']}/events")).json["items"][-1]
    assert (event["type"], event["data"]["bulk_revocation"]) == ("revoked", revocation["id"])


async def test_a_dry_run_counts_descendants_shows_some_and_changes_nothing(admin: Caller) -> None:
    line = await line_of(admin, 3)
    shown = await revoked(admin, line[0][0], with_children=True, dry_run=True)
    assert (shown["status"], shown["revision"], shown["children"]["ending"]) == ("active", 1, 3)
    assert {each["id"] for each in shown["children"]["sample"]} == {token["id"] for token, _ in line[1:]}
    assert "revocation" not in shown["children"]
    assert (await revoked(admin, line[0][0], dry_run=True))["children"]["living"] == 1
    assert await statuses(admin, [token for token, _ in line]) == ["active"] * 4


async def test_descendants_of_a_revoked_child_are_found(admin: Caller, worker: BulkRevocations) -> None:
    line = await line_of(admin, 3)
    for token, _ in line[:2]:
        await revoked(admin, token)
    again = await revoked(admin, line[0][0], with_children=True)
    assert again["children"]["ending"] == 2
    await finished(admin, worker, again["children"]["revocation"])
    assert await statuses(admin, [token for token, _ in line]) == ["revoked"] * 4


async def test_twelve_hundred_children_are_revoked_with_their_creator(admin: Caller, worker: BulkRevocations) -> None:
    token, minting = await minted(admin)
    for _ in range(12):
        await asyncio.gather(*(minting.issue(scopes=["a.b"]) for _ in range(100)))
    ended = await revoked(admin, token, with_children=True)
    assert ended["children"]["ending"] == 1_200
    revocation = await finished(admin, worker, ended["children"]["revocation"])
    assert (revocation["total"], revocation["revoked"], revocation["failed"]) == (1_200, 1_200, 0)
    assert (await admin.get("/v1/tokens", creator=f"token:{token['number']}", status="active")).json["items"] == []


async def test_a_token_that_the_bulk_revocation_will_reach_creates_nothing(
    admin: Caller, worker: BulkRevocations
) -> None:
    line = await line_of(admin, 2)
    ended = await revoked(admin, line[0][0], with_children=True)
    assert ended["children"]["ending"] == 2
    for _, minting in line[1:]:  # they are still active: the bulk revocation has not reached them
        assert (await minting.get("/v1/tokens/self")).status == 200
        refused = await minting.post("/v1/tokens", {"name": "late", "owner": ELSEWHERE, "scopes": ["a.b"]})
        assert (refused.status, refused.problem, refused.headers["Retry-After"]) == (503, "busy", "1")
        assert "is being revoked" in refused.json["detail"]
    _, unrelated = await minted(admin)
    await minted(unrelated)
    revocation = await finished(admin, worker, ended["children"]["revocation"])
    assert (revocation["total"], revocation["found"], revocation["done"], revocation["revoked"]) == (2, 0, 2, 2)


async def minting_on(minting: Caller) -> tuple[list[Any], Answer]:
    """Create children, each by the previous one, until one is refused."""
    made: list[Any] = []
    while True:
        answer = await minting.post("/v1/tokens", {"name": "escaping", "scopes": MINTS})
        if answer.status != 201:
            return made, answer
        made.append(answer.json["token"])
        minting = minting.with_token(answer.json["secret"])


async def test_a_chain_of_tokens_that_keeps_creating_children_is_revoked_completely(
    admin: Caller, worker: BulkRevocations
) -> None:
    line = await line_of(admin, 1)
    flights = [asyncio.create_task(minting_on(minting)) for _, minting in line for _ in range(4)]
    await asyncio.sleep(0.3)
    ended = await revoked(admin, line[0][0], with_children=True)
    revocation = await finished(admin, worker, ended["children"]["revocation"])
    made = [token for flight in flights for token in (await flight)[0]]
    assert revocation["revoked"] == len(made) + 1
    assert set(await statuses(admin, made)) == {"revoked"}


@asynccontextmanager
async def slow_creations(postgres_server: Postgres, name: str) -> AsyncIterator[Connection]:
    """Delay every creation between the check of its caller and its commit."""
    connection = await asyncpg.connect(postgres_server.url(OWNER, "api"))
    await connection.execute(f"""
        create function {name}() returns trigger language plpgsql as $$ begin perform pg_sleep(1.5); return new; end $$;
        create trigger {name} before insert on event for each row when (new.type = 'created' and new.kind = 'token')
            execute function {name}()""")
    try:
        yield connection
    finally:
        await connection.execute(f"drop trigger {name} on event; drop function {name}()")
        await connection.close()


async def test_a_child_committed_after_its_creators_revocation_is_revoked_too(
    admin: Caller, worker: BulkRevocations, postgres_server: Postgres
) -> None:
    token, minting = await minted(admin)
    async with slow_creations(postgres_server, "slow_creation"):
        late = asyncio.create_task(minting.post("/v1/tokens", {"name": "late", "scopes": ["a.b"]}))
        await asyncio.sleep(0.5)
        ended = await revoked(admin, token, with_children=True)
        assert (ended["children"]["ending"], late.done()) == (0, False)
        revocation = await finished(admin, worker, ended["children"]["revocation"])
        answer = await late
    assert (answer.status, revocation["revoked"]) == (201, 1)
    assert await statuses(admin, [answer.json["token"]]) == ["revoked"]


async def test_a_caller_limited_to_one_owner_leaves_tokens_of_others_active(
    admin: Caller, worker: BulkRevocations
) -> None:
    own = service()
    token, minting = await minted(admin, "own.revoke", owner=own)
    other, others = await minted(minting, owner=ELSEWHERE)
    child, _ = await minted(others, owner=own)
    owner = await admin.holder("own.revoke", owner=own)
    shown = await revoked(owner, token, with_children=True, dry_run=True)
    assert (shown["children"]["ending"], shown["children"]["left_alone"]) == (1, 1)
    assert [each["id"] for each in shown["children"]["sample"]] == [child["id"]]
    ended = await revoked(owner, token, with_children=True)
    assert (ended["children"]["ending"], ended["children"]["left_alone"]) == (1, 1)
    # A token that stays active may go on creating.
    assert (await others.post("/v1/tokens", {"name": "late", "owner": own, "scopes": ["a.b"]})).problem == "busy"
    await others.issue(name="stays", owner=ELSEWHERE)
    await finished(owner, worker, ended["children"]["revocation"])
    assert await statuses(admin, [token, other, child]) == ["revoked", "active", "revoked"]


async def test_a_token_that_may_revoke_only_itself_is_told_the_scope_for_children(admin: Caller) -> None:
    token, minting = await minted(admin)
    await minting.issue()
    for more in ({}, {"dry_run": True}):
        refused = await minting.post("/v1/tokens/self/revoke", {"reason": "done", "with_children": True, **more})
        assert (refused.status, refused.problem, refused.json["scope"]) == (403, "scope-missing", "tokens.revoke")
    assert await statuses(admin, [token]) == ["active"]
    assert (await revoked(minting, token))["children"]["living"] == 1


async def test_a_stale_revision_revokes_neither_the_token_nor_its_children(
    admin: Caller, worker: BulkRevocations
) -> None:
    line = await line_of(admin, 1)
    body = {"reason": "leaked", "with_children": True}
    refused = await admin.post(f"/v1/tokens/{line[0][0]['id']}/revoke", body, If_Match='"7"')
    assert refused.problem == "stale-revision"
    await worker.work()
    assert await statuses(admin, [token for token, _ in line]) == ["active"] * 2


async def test_no_token_of_another_account_is_revoked(admin: Caller, stranger: Caller, worker: BulkRevocations) -> None:
    line = await line_of(admin, 2)
    theirs = await line_of(stranger, 1)
    refused = await stranger.post(f"/v1/tokens/{line[0][0]['id']}/revoke", {"reason": "x", "with_children": True})
    assert refused.problem == "not-found"
    ended = await revoked(stranger, theirs[0][0], with_children=True)
    await finished(stranger, worker, ended["children"]["revocation"])
    assert await statuses(admin, [token for token, _ in line]) == ["active"] * 3
    assert (await admin.get(f"/v1/revocations/{ended['children']['revocation']}")).problem == "not-found"


async def test_many_tokens_are_planned_and_revoked_with_their_children(admin: Caller, worker: BulkRevocations) -> None:
    lines = [await line_of(admin, 2) for _ in range(2)]
    name = f"roots-{uuid4().hex}"
    for line in lines:
        await admin.patch(f"/v1/tokens/{line[0][0]['id']}", {"name": name})
    wanted = {"name": name, "with_children": True}
    alone = (await admin.post("/v1/revocations/plan", {"filter": {"name": name}})).json
    plan = (await admin.post("/v1/revocations/plan", {"filter": wanted})).json
    assert (alone["tokens"], plan["tokens"], plan["left_alone"]) == (2, 6, 0)
    body = {"filter": wanted, "plan": plan["plan"], "reason": "leaked"}
    assert (await admin.post("/v1/revocations", {**body, "plan": alone["plan"]})).problem == "plan-changed"
    revocation = (await admin.post("/v1/revocations", body)).json
    late, _ = await minted(lines[1][2][1])
    done = await finished(admin, worker, revocation["id"])
    assert (done["total"], done["found"], done["revoked"]) == (6, 1, 7)
    assert await statuses(admin, [late, *(token for line in lines for token, _ in line)]) == ["revoked"] * 7


async def test_removing_a_user_counts_their_creations_and_revokes_them_on_request(
    admin: Caller, worker: BulkRevocations
) -> None:
    grace = await person(admin, "administrator")
    own = (await grace.asks().issue(name="own", owner={"type": "user", "id": "self"}))["token"]
    given, giving = await minted(admin, owner={"type": "user", "id": grace.id})
    made, making = await minted(grace.asks(), owner=service())
    deep = [(await each.issue(owner=ELSEWHERE))["token"] for each in (making, giving)]
    path, left = f"/v1/users/{grace.id}/remove", {"reason": "Left the company."}
    shown = (await admin.post(path, {**left, "with_children": True, "dry_run": True})).json
    assert (shown["status"], shown["children"]["ending"], len(shown["children"]["sample"])) == ("active", 5, 5)
    gone = (await admin.post(path, left)).json
    assert (gone["status"], gone["children"]) == (
        "removed", {"living": 1, "list": f"/v1/tokens?creator=user:{grace.id}"}
    )  # fmt: skip
    assert await statuses(admin, [made, *deep]) == ["active"] * 3
    later = (await admin.post(path, {**left, "with_children": True})).json
    assert (later["children"]["ending"], later["children"]["left_alone"]) == (5, 0)
    refused = await making.post("/v1/tokens", {"name": "late", "owner": ELSEWHERE, "scopes": ["a.b"]})
    assert refused.problem == "busy"  # the user created it, and the bulk revocation has not reached it
    revocation = await finished(admin, worker, later["children"]["revocation"])
    assert (revocation["revoked"], revocation["failed"]) == (5, 0)
    assert await statuses(admin, [own, given, made, *deep]) == ["revoked"] * 5


async def test_removing_a_user_twice_under_one_key_names_the_same_bulk_revocation(
    admin: Caller, worker: BulkRevocations
) -> None:
    grace = await person(admin, "administrator")
    await grace.asks().issue(owner=ELSEWHERE)
    body, key = {"reason": "Left.", "with_children": True}, uuid4().hex
    answers = [await admin.post(f"/v1/users/{grace.id}/remove", body, Idempotency_Key=key) for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert (await finished(admin, worker, answers[0].json["children"]["revocation"]))["revoked"] == 1


async def test_removing_a_user_with_children_needs_the_right_to_revoke(admin: Caller) -> None:
    grace = await person(admin)
    remover = await admin.holder("users.*")
    body = {"reason": "Left.", "with_children": True}
    refused = await remover.post(f"/v1/users/{grace.id}/remove", body)
    assert (refused.problem, refused.json["scope"]) == ("scope-missing", "tokens.revoke")
    assert (await admin.get(f"/v1/users/{grace.id}")).json["status"] == "active"


@pytest.mark.parametrize("path", ["/v1/tokens/{}/revoke", "/v1/users/{}/remove"])
async def test_an_unknown_option_is_refused_and_nothing_changes(admin: Caller, path: str) -> None:
    target = (await admin.issue())["token"]["id"] if "tokens" in path else (await person(admin)).id
    refused = await admin.post(path.format(target), {"reason": "x", "with_child": True})
    assert refused.status == 422
