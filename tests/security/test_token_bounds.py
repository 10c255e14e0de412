"""A token's own networks and rate limit apply wherever it or its bearers are presented, over all processes."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from api.proxy import Asked
from api.service import Answer, Caller, founded, settings_for
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from security.limited_service import HERE, THERE, Place, limited
from security.processes import several

OFFICE = "192.0.2.0/24"


@pytest.fixture
async def place(database: Database, valkey: Valkey, tmp_path: Path) -> AsyncIterator[Place]:
    async with limited(database, valkey, tmp_path) as opened:
        yield opened


async def test_exactly_n_of_2n_calls_pass_over_two_processes(
    database: Database, valkey: Valkey, tmp_path: Path
) -> None:
    limits = valkey.database(4)
    async with Redis.from_url(limits) as redis:
        await redis.flushdb()
    admin = (await founded(settings_for(database.app_url), "two", tmp_path))["admin_token"]
    async with several(database, 2, LIMITS_REDIS_URL=limits, RATE_LIMIT="1000/10m") as urls:
        async with ClientSession(urls[0]) as session:
            issued = await Caller(session, f"Bearer {admin}").issue(scopes=["tokens.read"], rate_limit="30/10m")
        answers = await asyncio.gather(*(asks(url, issued["secret"], 30) for url in urls))
    told = [answer for each in answers for answer in each]
    refused = [answer for answer in told if answer.status == 429]
    assert (len(told), len(refused)) == (60, 30)
    assert {answer.problem for answer in refused} == {"rate-limited"}
    assert all(590 <= int(answer.headers["Retry-After"]) <= 600 for answer in refused)
    policies = {'"principal";q=1000;w=600, "token";q=30;w=600', '"token";q=30;w=600'}
    assert {answer.headers["RateLimit-Policy"] for answer in told} <= policies
    left = [re.search(r'"token";r=(\d+);', answer.headers["RateLimit"]) for answer in told if answer.status == 200]
    assert sorted(int(match[1]) for match in left if match) == list(range(30))


async def asks(url: str, plain: str, count: int) -> list[Answer]:
    async with ClientSession(url) as session:
        return await asyncio.gather(*(Caller(session, f"Bearer {plain}").get("/v1/tokens/self") for _ in range(count)))


async def test_exchanges_and_bearers_count_against_their_token(place: Place) -> None:
    issued = await place.admin.issue(rate_limit="4/10m")
    holder = place.caller(issued["secret"])
    bearer = (await holder.post("/v1/exchange")).json["access_token"]
    assert (await place.caller(bearer, process=1).get("/v1/tokens/self")).status == 200
    again = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": bearer,
             "subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}  # fmt: skip
    assert (await Caller(place.sessions[1], "").form("/v1/oauth/token", **again)).status == 200
    assert [(await holder.post("/v1/exchange")).status for _ in range(3)] == [200, 429, 429]
    assert (await place.caller(bearer).get("/v1/tokens/self")).problem == "rate-limited"
    events = (await place.admin.get(f"/v1/tokens/{issued['token']['id']}/events")).json["items"]
    assert [event["type"] for event in events] == ["created", "exchanged", "exchanged", "exchanged"]
    await noted(place, "rate-limited", issued["token"]["id"])


async def test_a_changed_limit_applies_at_once(place: Place) -> None:
    token = await place.admin.issue(rate_limit="2/10m")
    holder, path = place.caller(token["secret"]), f"/v1/tokens/{token['token']['id']}"
    assert [(await holder.get("/v1/tokens/self")).status for _ in range(3)] == [200, 200, 429]
    assert (await place.admin.patch(path, {"rate_limit": "3/10m"})).json["rate_limit"] == "3/10m"
    assert [(await holder.get("/v1/tokens/self")).status for _ in range(2)] == [200, 429]
    assert (await place.admin.patch(path, {"rate_limit": None})).json["rate_limit"] is None
    assert [(await holder.get("/v1/tokens/self")).status for _ in range(5)] == [200] * 5


async def test_a_monthly_limit_changed_to_one_a_minute_does_not_last_for_a_month(place: Place) -> None:
    token = await place.admin.issue(rate_limit="2/30d")
    holder, path = place.caller(token["secret"]), f"/v1/tokens/{token['token']['id']}"
    assert [(await holder.get("/v1/tokens/self")).status for _ in range(3)] == [200, 200, 429]
    await place.admin.patch(path, {"rate_limit": "2/1m"})
    for process in (0, 1):
        refused = await place.caller(token["secret"], process=process).get("/v1/tokens/self")
        assert (refused.status, int(refused.headers["Retry-After"]) <= 60) == (429, True)


async def test_a_token_and_its_bearer_are_refused_outside_its_networks(place: Place) -> None:
    issued = await place.admin.issue(scopes=["invoices.read", "tokens.introspect"], networks=[OFFICE])
    assert issued["token"]["networks"] == [OFFICE]
    inside, outside = (place.caller(issued["secret"], at=at) for at in (HERE, THERE))
    bearer = (await inside.post("/v1/exchange")).json["access_token"]
    assert (await inside.get("/v1/tokens/self")).status == 200
    assert (await place.caller(bearer).get("/v1/tokens/self")).status == 200
    for refused in (
        await outside.get("/v1/tokens/self"),
        await outside.post("/v1/exchange"),
        await place.caller(bearer, at=THERE).get("/v1/tokens/self"),
        await outside.post("/v1/tokens/self/rotate", {"grace": "0s"}),
    ):
        assert (refused.status, refused.problem) == (403, "token-network-forbidden")
    spelt = await outside.form("/v1/introspect", token=issued["secret"])
    assert (spelt.status, spelt.json["error"]) == (403, "access_denied")
    # The resource server may call from elsewhere: the answer is about the token alone.
    assert (await place.admin.form("/v1/introspect", token=issued["secret"])).json["active"] is True
    account = issued["token"]["account"]
    await noted(place, "token-network-forbidden", issued["token"]["id"])
    for at, expected in ((HERE, 200), (THERE, 403)):
        for plain in (issued["secret"], bearer):
            passed = await Asked(place.sessions[0], account).about(
                {"Authorization": f"Bearer {plain}", "X-Forwarded-For": at}
            )
            assert passed.status == expected


async def test_forward_authentication_counts_against_the_tokens_own_limit(place: Place) -> None:
    issued = await place.admin.issue(scopes=["invoices.read"], rate_limit="2/10m")
    proxies = [Asked(session, issued["token"]["account"]) for session in place.sessions]
    answers = [await proxies[n % 2].about({"Authorization": f"Bearer {issued['secret']}"}) for n in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 403]
    assert answers[-1].json["reason"] == "rate-limited"
    assert int(answers[-1].headers["Retry-After"]) > 1


async def test_a_bearer_with_an_actor_is_bound_to_the_networks_of_both(place: Place) -> None:
    subject = await place.admin.issue(scopes=["invoices.read"])
    actor = await place.admin.issue(networks=[OFFICE])
    given = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": subject["secret"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token", "actor_token": actor["secret"],
        "actor_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }  # fmt: skip
    nobody = {at: Caller(place.sessions[0], "", {"X-Forwarded-For": at}) for at in (HERE, THERE)}
    assert (await nobody[THERE].form("/v1/oauth/token", **given)).status in (400, 403)
    bearer = (await nobody[HERE].form("/v1/oauth/token", **given)).json["access_token"]
    headers = {at: {"Authorization": f"Bearer {bearer}", "X-Forwarded-For": at} for at in (HERE, THERE)}
    proxy = Asked(place.sessions[0], subject["token"]["account"])
    assert [(await proxy.about(headers[at])).status for at in (HERE, THERE)] == [200, 403]


async def test_a_bearer_with_a_bounded_actor_is_exchanged_again(place: Place) -> None:
    subject = await place.admin.issue(scopes=["invoices.read"])
    actor = await place.admin.issue(networks=[OFFICE], rate_limit="600/1m")
    kind = "urn:ietf:params:oauth:token-type:access_token"
    given = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token_type": kind}
    nobody = {at: Caller(place.sessions[0], "", {"X-Forwarded-For": at}) for at in (HERE, THERE)}
    acting = {"actor_token": actor["secret"], "actor_token_type": kind}
    first = await nobody[HERE].form("/v1/oauth/token", **given, subject_token=subject["secret"], **acting)
    given["subject_token"] = first.json["access_token"]
    assert [(await nobody[at].form("/v1/oauth/token", **given)).status for at in (HERE, THERE)] == [200, 403]


async def test_a_bounded_token_issues_clones_imports_and_edits_only_equally_bounded_tokens(place: Place) -> None:
    anywhere = await place.admin.issue(scopes=[])
    issued = await place.admin.issue(scopes=["tokens.*"], networks=[OFFICE], rate_limit="600/1m")
    holder, other = place.caller(issued["secret"]), f"/v1/tokens/{anywhere['token']['id']}"
    good = {"name": "n", "networks": ["192.0.2.16/28"], "rate_limit": "60/1m"}
    made = (await holder.post("/v1/tokens", good)).json["token"]
    assert (made["networks"], made["rate_limit"]) == (["192.0.2.16/28"], "60/1m")
    wider: list[dict[str, Any]] = [
        {"networks": []}, {"networks": ["0.0.0.0/0"]}, {"rate_limit": None}, {"rate_limit": "1200/2m"},
    ]  # fmt: skip
    for each in wider:
        assert (await holder.post("/v1/tokens", good | each)).problem == "beyond-caller"
        assert (await holder.post(f"/v1/tokens/{made['id']}/clone", each)).problem == "beyond-caller"
        assert (await holder.patch("/v1/tokens/self", each)).problem == "beyond-caller"
        imported = {"tokens": [good | each | {"secret": "old_5d41402abc4b2a76b9719d911017c592"}]}
        assert "beyond-caller" in str((await holder.post("/v1/tokens/import", imported)).json["results"])
    for refused in (
        await holder.patch(other, {"description": "mine now"}),
        await holder.post(f"{other}/rotate", {"grace": "0s"}),
        await holder.post(f"{other}/clone", {}),
    ):
        assert refused.problem == "beyond-caller"
    copy = (await place.admin.post(f"/v1/tokens/{made['id']}/clone", {})).json["token"]
    assert (copy["networks"], copy["rate_limit"]) == (made["networks"], made["rate_limit"])


async def test_bounds_are_shown_in_the_log_and_in_past_states(place: Place) -> None:
    token = (await place.admin.issue(networks=[OFFICE], rate_limit="600/1m"))["token"]
    path = f"/v1/tokens/{token['id']}"
    await place.admin.patch(path, {"networks": [], "rate_limit": None})
    events = (await place.admin.get(f"{path}/events")).json["items"]
    assert [(event["data"]["networks"], event["data"]["rate_limit"]) for event in events] == [
        ([OFFICE], "600/1m"), ([], None),
    ]  # fmt: skip
    then = (await place.admin.get(path, as_of="1")).json
    assert (then["networks"], then["rate_limit"]) == ([OFFICE], "600/1m")


@pytest.mark.parametrize(
    ("fields", "problem", "field"),
    [
        ({"networks": ["192.0.2.1/24"]}, "bad-network", "networks"),
        ({"networks": ["office"]}, "bad-network", "networks"),
        ({"rate_limit": "600 a minute"}, "bad-rate-limit", "rate_limit"),
        ({"rate_limit": "600/0s"}, "bad-rate-limit", "rate_limit"),
    ],
)
async def test_an_invalid_bound_is_refused_with_the_reason(
    place: Place, fields: dict[str, Any], problem: str, field: str
) -> None:
    refused = await place.admin.post("/v1/tokens", {"name": "n", **fields})
    assert (refused.status, refused.problem, refused.json["field"]) == (422, problem, field)
    assert "such as" in refused.json["detail"]


async def noted(place: Place, kind: str, token: str) -> None:
    """Wait until an attempt of this kind with this token is in the account's list."""
    for _ in range(300):
        items = (await place.admin.get("/v1/attempts", kind=kind)).json["items"]
        if token in {item["subject"] for item in items}:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"no attempt {kind}")
