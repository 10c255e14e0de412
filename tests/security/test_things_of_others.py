"""D17. The whole API answers requests about things of another account as if these did not exist."""

from collections.abc import AsyncIterator
from itertools import count
from math import inf
from time import perf_counter

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from uuid_utils.compat import uuid7

from api.service import Caller, served, settings_for
from counterfoil_api.application import make_app, routes
from counterfoil_api.operations.api import Api
from counterfoil_dev.postgres import Database
from security.counting_proxy import Said, Wire, overheard
from security.parameters import Place, Question, Things, places, question, random_things, unknown, variants

PLACES = places(routes())
# Presenting a secret or a bearer of another account reveals no more than its use would.
AT_WORK = [place for place in PLACES if place.where != "body" and place.kind not in ("secret", "bearer")]
NAMED = ("scope", "set", "owner")
"""What an account calls as it likes: asked to change one that is not there, it makes it."""
_TURNS = count(1)


async def things_of(caller: Caller, place: Place | None = None) -> Things:
    """Create a token in the caller's account, and things of the kinds that the place names (all without a place)."""
    name = f"swept-{next(_TURNS)}"
    issued = await caller.issue(
        name=name, owner={"type": "service", "id": name}, scopes=["introspected"], lifetime="1h"
    )
    things = {
        "token": issued["token"]["id"], "token number": str(issued["token"]["number"]), "secret": issued["secret"],
        "owner": name, "cursor": "",
    }  # fmt: skip
    for kinds, make in _MAKERS.items():
        if place is None or not place.kinds.isdisjoint(kinds):
            things |= await make(caller, name, issued["secret"])
    return Things(things)


async def _bearer(caller: Caller, _name: str, secret: str) -> dict[str, str]:
    return {"bearer": (await caller.with_token(secret).post("/v1/exchange")).json["access_token"]}


async def _scope(caller: Caller, name: str, _secret: str) -> dict[str, str]:
    assert (await caller.ask("PUT", f"/v1/scopes/swept.{name}", b'{"sentence":"x"}')).status == 200
    return {"scope": f"swept.{name}"}


async def _set(caller: Caller, name: str, _secret: str) -> dict[str, str]:
    assert (await caller.ask("PUT", f"/v1/scope-sets/{name}", b'{"scopes":["swept.x"]}')).status == 200
    return {"set": name}


async def _owner(caller: Caller, name: str, _secret: str) -> dict[str, str]:
    assert (await caller.ask("PUT", f"/v1/owners/service/{name}/quota", b'{"max_tokens":1000}')).status == 200
    return {"owner": name}


async def _cursor(caller: Caller, _name: str, _secret: str) -> dict[str, str]:
    return {"cursor": (await caller.get("/v1/tokens", limit=1)).json["next_cursor"] or ""}


async def _user(caller: Caller, name: str, _secret: str) -> dict[str, str]:
    made = await caller.post("/v1/users", {"email": f"{name}@swept.example", "role": "member"})
    assert made.status == 201, made.body
    user = made.json["user"]
    return {"user": user["id"], "user number": str(user["number"]), "email": user["email"]}


async def _bulk_revocation(caller: Caller, name: str, _secret: str) -> dict[str, str]:
    chosen = {"filter": {"owner_id": name}}
    plan = (await caller.post("/v1/revocations/plan", chosen)).json["plan"]
    revocation = await caller.post("/v1/revocations", {**chosen, "plan": plan, "reason": "swept"})
    assert revocation.status == 201, revocation.body
    return {"plan": plan, "bulk_revocation": revocation.json["id"]}


async def _subscription(caller: Caller, name: str, _secret: str) -> dict[str, str]:
    made = await caller.post("/v1/subscriptions", {"name": name, "url": "https://192.88.98.1/x", "events": ["expired"]})
    assert made.status == 201, made.body
    subscription = made.json["subscription"]["id"]
    return {"subscription": subscription, "delivery": await _delivered(caller, subscription)}


async def _delivered(caller: Caller, subscription: str) -> str:
    """Write a delivery as the follower does, which does not run here."""
    account, delivery = (await caller.get("/v1/account")).json["id"], str(uuid7())
    connection = await asyncpg.connect(_OWNER_URL[0])
    await connection.execute(
        """
        insert into delivery (account_id, delivery_id, subscription_id, subject_id, version, position, type, status,
                              reason, ended_at)
        values ($1, $2, $3, $3, 1, 1, 'test', 'dead', 'x', clock_timestamp())""",
        account, delivery, subscription,
    )  # fmt: skip
    await connection.close()
    return delivery


_OWNER_URL: list[str] = []
_MAKERS = {
    ("bearer",): _bearer, ("scope",): _scope, ("set",): _set, ("owner",): _owner, ("cursor",): _cursor,
    ("user", "user number", "email"): _user, ("bulk_revocation", "plan"): _bulk_revocation,
    ("subscription", "delivery"): _subscription,
}  # fmt: skip


async def state_of(owner: Caller, things: Things) -> list[bytes]:
    """All things of the other account, as that account sees them."""
    paths = [f"/v1/tokens/{things['token']}", "/v1/scopes", "/v1/scope-sets", "/v1/owner-quotas"]
    paths += [f"/v1/users/{things['user']}"] if "user" in things.of else []
    paths += [f"/v1/revocations/{things['bulk_revocation']}"] if "bulk_revocation" in things.of else []
    paths += [f"/v1/subscriptions/{things['subscription']}"] if "subscription" in things.of else []
    return [(await owner.get(path)).body for path in paths]


async def cursor_for(place: Place, owner: Caller, things: Things) -> str | None:
    """A cursor that the other account got from this very list, if it has a second page there."""
    path = place.route.path.replace("{ref}", things["token"]).replace("{user}", things.of.get("user", ""))
    path = path.replace("{subscription}", things.of.get("subscription", ""))
    more: str | None = (await owner.get(path, limit=1)).json["next_cursor"]
    return more


def test_every_parameter_of_every_operation_is_in_the_table() -> None:
    assert unknown(routes()) == []
    assert {place.operation for place in PLACES} == {
        f"{route.method} {route.path}" for route in routes() if "{" in route.path
    } | {place.operation for place in PLACES if place.where != "path"}


def test_an_operation_missing_from_the_table_is_detected() -> None:
    strange = Api("strange")

    @strange.get("/v1/vaults/{vault}")
    async def get_vault(_ledger: object, *, vault: str) -> None:
        """Read a vault."""

    assert unknown(strange.routes) == ["GET /v1/vaults/{vault}: path vault"]


@pytest_asyncio.fixture(scope="session", autouse=True)
async def numbers_apart(checked_database: Database, ours: dict[str, str]) -> None:
    """Numbers are counted for each account: give our things numbers that the stranger does not have."""
    _OWNER_URL.append(checked_database.owner_url)
    connection = await asyncpg.connect(checked_database.owner_url)
    await connection.execute(
        """
        insert into number_counter as c (account_id, kind, last)
        select $1::text::uuid, k.kind, 1000000
          from (values ('token'), ('user')) as k(kind)
            on conflict (account_id, kind) do update set last = excluded.last""",
        ours["account"],
    )
    await connection.close()


@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_the_whole_api_answers_about_things_of_another_account_as_about_missing_ones(
    place: Place, admin: Caller, stranger: Caller
) -> None:
    foreign = await things_of(admin, place)
    never, before = random_things(foreign), await state_of(admin, foreign)
    cursor = await cursor_for(place, admin, foreign) if place.kind == "cursor" else None
    foreign.of["cursor"] = cursor or foreign["cursor"]
    for variant in variants(place):
        seen = []
        for thing in (foreign[place.kind], never[place.kind]):
            names_one = place.where == "path" and "{subscription}/deliveries/{" not in place.route.path
            own = Things() if names_one else await things_of(stranger, place)
            asked = question(place, thing, own, variant)
            answer = await asked.put(stranger)
            seen.append((answer.status, asked.shown(answer)))
        assert seen[0] == seen[1]
        assert seen[0][0] < 500
        if place.where == "path" and place.kind not in NAMED:
            assert seen[0][0] == 404
    assert await state_of(admin, foreign) == before
    if cursor or (place.where == "path" and place.kind not in NAMED):
        asked = question(place, foreign[place.kind], foreign)
        assert (await asked.put(admin)).status in (200, 201, 202, 409), (
            "a question that finds nothing anywhere proves nothing"
        )


@pytest_asyncio.fixture(scope="session")
async def wire(checked_database: Database) -> AsyncIterator[Wire]:
    async with overheard(checked_database) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session")
async def listening(wire: Wire, theirs: dict[str, str]) -> AsyncIterator[Caller]:
    """The stranger, at a service with the same database and a counting proxy."""
    async with served(make_app(settings_for(wire.url))) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {theirs['admin_token']}")


@pytest.mark.parametrize("place", AT_WORK, ids=str)
async def test_a_thing_of_another_account_costs_as_much_work_as_a_missing_one(
    place: Place, admin: Caller, stranger: Caller, listening: Caller, wire: Wire
) -> None:
    foreign, own = await things_of(admin, place), await things_of(stranger, place)
    never = random_things(foreign)
    questions = [question(place, things[place.kind], own) for things in (foreign, never)]
    work: list[list[Said]] = [[], []]
    for _ in range(8):  # a timer may run in between, or a connection be opened
        for asked, said in zip(questions, work, strict=True):
            before = wire.said
            await asked.put(listening)
            said.append(wire.said.since(before))
    # Things that the first request creates or ends exist, or are gone, from then on.
    least = [min(said[1:]) for said in work]
    assert least[0].statements > 0 or place.where == "form"
    assert least[0] == least[1]


@pytest.mark.soak
async def test_a_thing_of_another_account_takes_as_long_as_a_missing_one(admin: Caller, stranger: Caller) -> None:
    foreign, own = await things_of(admin), await things_of(stranger)
    never, sums = random_things(foreign), [0.0, 0.0]
    for place in [each for each in PLACES if each.where == "path" and each.kind not in NAMED]:
        quickest = await took([question(place, things[place.kind], own) for things in (foreign, never)], stranger)
        assert 1 / 2 < quickest[0] / quickest[1] < 2, (str(place), quickest)
        sums = [total + each for total, each in zip(sums, quickest, strict=True)]
    assert 3 / 4 < sums[0] / sums[1] < 4 / 3, sums


async def took(questions: list[Question], stranger: Caller) -> list[float]:
    """Return the quickest answer to each of two alternating requests.

    Other load on the machine only adds to a time, so the measurement goes on until the two are alike.
    """
    quickest = [inf, inf]
    for turn in range(300):
        for which in (0, 1) if turn % 2 else (1, 0):
            began = perf_counter()
            assert (await questions[which].put(stranger)).status == 404
            quickest[which] = min(quickest[which], perf_counter() - began)
        if turn >= 20 and 4 / 5 < quickest[0] / quickest[1] < 5 / 4:
            break
    return quickest
