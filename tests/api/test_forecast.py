"""The forecast of expiries over HTTP, its cliffs, and the plan that spreads them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientSession

from api.service import Caller, founded
from api.user_fixtures import person
from counterfoil.settings import Settings

DAY = timedelta(days=1)


@pytest.fixture
async def boss(api_settings: Settings, session: ClientSession, tmp_path: Path) -> Caller:
    """The administrator of a new account, in which no other test has tokens."""
    told = await founded(api_settings, f"forecast-{uuid4().hex[:8]}", tmp_path)
    return Caller(session, f"Bearer {told['admin_token']}")


def midnight(days: int) -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + days * DAY


async def cliff(boss: Caller, count: int, *, days: int = 30, **said: Any) -> list[dict[str, Any]]:
    """Tokens that expire together, and are used."""
    ends = (midnight(days) + timedelta(hours=10)).isoformat()
    issued = [await boss.issue(name=f"job {n}", expires_at=ends, **said) for n in range(count)]
    for each in issued:
        assert (await boss.with_token(each["secret"]).post("/v1/exchange")).status == 200
    return [each["token"] for each in issued]


async def forecast(caller: Caller, **query: object) -> dict[str, Any]:
    answer = await caller.get("/v1/alerts/forecast", **query)
    assert answer.status == 200, answer.body
    document: dict[str, Any] = answer.json
    return document


async def plan(caller: Caller, **query: object) -> dict[str, Any]:
    answer = await caller.get("/v1/alerts/spread", **query)
    assert answer.status == 200, answer.body
    document: dict[str, Any] = answer.json
    return document


async def renew(caller: Caller, move: dict[str, Any]) -> int:
    body = {"expires_at": move["new_expires_at"], "keeps_lifetime": True}
    answer = await caller.post(f"/v1/tokens/{move['id']}/renew", body, If_Match=f'"{move["revision"]}"')
    return answer.status


async def test_the_forecast_counts_by_day_and_finds_the_cliff(boss: Caller) -> None:
    await cliff(boss, 11, owner={"type": "service", "id": "crm"})
    await boss.issue(expires_at=midnight(2).isoformat(), owner={"type": "service", "id": "idle"})
    found = await forecast(boss)
    assert [each["day"] for each in found["days"]] == [midnight(n).date().isoformat() for n in range(90)]
    crm = {"owner": {"type": "service", "id": "crm"}, "tokens": 11, "used": 11}
    assert (found["days"][30]["tokens"], found["days"][30]["owners"]) == (11, [crm])
    assert (found["days"][2]["tokens"], found["days"][2]["used"]) == (1, 0)
    assert (found["tokens"], found["used"]) == (12, 11)
    (one,) = found["cliffs"]
    assert one["used"] == 11
    begins, ends = (datetime.fromisoformat(one[name]) for name in ("starts_at", "ends_at"))
    assert (begins, ends) == (midnight(30) + timedelta(hours=10), midnight(31) + timedelta(hours=10))
    assert (await forecast(boss, min_used=12))["cliffs"] == []
    assert (await forecast(boss, owner_type="service", owner_id="idle"))["tokens"] == 1
    assert len((await forecast(boss, days=2))["days"]) == 2


async def test_a_plan_spreads_the_cliff_by_ordinary_renewals_and_a_second_plan_is_empty(boss: Caller) -> None:
    tokens = await cliff(boss, 30, owner={"type": "service", "id": "crm"})
    first = await plan(boss)
    assert (first["refused"], first["left_over"], len(first["moves"])) == ([], 0, 21)
    stale = {**first["moves"][0], "revision": 7}
    assert await renew(boss, stale) == 412
    for move in first["moves"][:10]:
        assert await renew(boss, move) == 200
    assert await renew(boss, first["moves"][0]) == 412, "a token is moved once"
    rest = await plan(boss)
    assert len(rest["moves"]) == 11
    for move in rest["moves"]:
        assert await renew(boss, move) == 200
    assert await plan(boss) == {"cliffs": [], "moves": [], "refused": [], "left_over": 0}
    found = await forecast(boss)
    assert (found["used"], found["cliffs"]) == (30, [])
    assert max(day["used"] for day in found["days"]) == 9
    events = (await boss.get(f"/v1/tokens/{first['moves'][0]['id']}/events")).json["items"]
    assert [event["type"] for event in events] == ["created", "exchanged", "renewed"]
    assert {token["id"] for token in tokens} >= {move["id"] for move in first["moves"]}


async def test_no_token_is_planned_beyond_the_policy_nor_sooner_than_in_seven_days(boss: Caller) -> None:
    await cliff(boss, 30)
    assert (await boss.patch("/v1/account", {"policy": {"max_lifetime": "20d"}})).status == 200
    planned = await plan(boss)
    new = [datetime.fromisoformat(move["new_expires_at"]) for move in planned["moves"]]
    now = datetime.now(UTC)
    assert len(new) == 21
    assert all(now + 7 * DAY - timedelta(minutes=1) < each <= now + 20 * DAY for each in new)
    for move in planned["moves"]:
        assert await renew(boss, move) == 200
    assert (await boss.patch("/v1/account", {"policy": {"max_lifetime": "6d"}})).status == 200
    await cliff(boss, 12, days=5)
    stuck = await plan(boss)
    assert (stuck["moves"], stuck["refused"]) == ([], [])
    assert stuck["left_over"] > 0


async def test_tokens_that_the_caller_may_not_renew_are_named_with_the_reason(boss: Caller) -> None:
    wider = await cliff(boss, 6, scopes=["invoices.read"])
    await cliff(boss, 6)
    lesser = await boss.holder("alerts.read", "tokens.renew")
    found = await plan(lesser)
    assert {each["id"] for each in found["refused"]} == {each["id"] for each in wider}
    assert {each["problem"] for each in found["refused"]} == {"beyond-caller"}
    assert len(found["moves"]) == 3
    assert all([await renew(lesser, move) == 200 for move in found["moves"]])
    assert (await plan(lesser))["cliffs"] == []


async def test_a_caller_that_expires_plans_nothing_beyond_its_own_expiry(boss: Caller) -> None:
    await cliff(boss, 12)
    issued = await boss.issue(scopes=["alerts.read", "tokens.renew"], expires_at=midnight(20).isoformat())
    found = await plan(boss.with_token(issued["secret"]))
    assert len(found["moves"]) == 3
    assert all(datetime.fromisoformat(each["new_expires_at"]) <= midnight(20) for each in found["moves"])


async def test_members_see_and_spread_only_their_own_tokens(boss: Caller) -> None:
    ada = await person(boss)
    owner = {"type": "user", "id": ada.id}
    mine = await cliff(boss, 12, owner=owner, scopes=["own.read"])
    await cliff(boss, 12)
    own = ada.asks()
    assert (await forecast(own))["used"] == 12
    found = await plan(own)
    assert {each["id"] for each in found["moves"]} <= {each["id"] for each in mine}
    assert len(found["moves"]) == 3
    for path in ("/v1/alerts/forecast", "/v1/alerts/spread"):
        assert (await own.get(path, owner_type="service", owner_id="billing")).problem == "scope-missing"
    auditor = (await person(boss, "auditor")).asks()
    assert (await forecast(auditor))["used"] == 24
    assert (await auditor.get("/v1/alerts/spread")).problem == "scope-missing"
    renewer = await boss.holder("tokens.renew")
    assert (await renewer.get("/v1/alerts/spread")).problem == "scope-missing"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("days", "0", "invalid-request"), ("days", "401", "invalid-request"), ("window", "30m", "invalid-request"),
        ("window", "90m", "invalid-request"), ("window", "31d", "invalid-request"), ("window", "soon", "bad-duration"),
        ("min_used", "1", "invalid-request"), ("min_percent", "101", "invalid-request"),
    ],
)  # fmt: skip
async def test_wrong_parameters_are_named(admin: Caller, name: str, value: str, problem: str) -> None:
    for path in ("/v1/alerts/forecast", "/v1/alerts/spread"):
        refused = await admin.get(path, **{name: value})
        assert (refused.problem, refused.json["field"]) == (problem, name)
