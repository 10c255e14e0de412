"""Calls for the platform are checked, recorded, and forwarded without our credentials."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from structlog.testing import capture_logs

from api.service import served
from api.user_fixtures import PASSWORD, person
from counterfoil_api.dialects.virtuozzo import gate
from counterfoil_dev.postgres import Postgres
from dialects.jelastic import Jelastic, World, world

DENIED, TOKEN_DENIED, NOT_FOUND, INVALID, SERVER, NO_SESSION = 8, 8202, 5, 3, 99, 701
STOP = "environment.control.StopEnv"
BOTH = pytest.mark.parametrize("verb", ["GET", "POST"])


class Platform:
    """The platform behind the service: it records requests and answers by the name of the environment."""

    def __init__(self) -> None:
        self.requested: list[tuple[str, str, dict[str, str], dict[str, str]]] = []
        self.waiting = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        query, form = request.query, await request.post()
        given = {name: ",".join(map(str, source.getall(name))) for source in (query, form) for name in source}
        self.requested.append((request.method, request.path, given, dict(request.headers)))
        match given.get("envName"):
            case "elsewhere":
                raise web.HTTPFound("/1.0/elsewhere")
            case "broken":
                return web.Response(status=502, text="bad gateway")
            case "long":
                return web.Response(body=b"x" * (gate.LONGEST_ANSWER + 1))
            case "packed":
                return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})
            case "slow":
                await self.waiting.wait()
            case "cut":
                assert request.transport is not None
                request.transport.close()
        body = '{"result":0,"environments":"ä"}'
        return web.Response(text=body, content_type="application/json", headers={"Set-Cookie": "theirs=1"})

    @property
    def last(self) -> tuple[str, str, dict[str, str], dict[str, str]]:
        return self.requested[-1]


@asynccontextmanager
async def platform() -> AsyncIterator[tuple[str, Platform]]:
    app, behind = web.Application(), Platform()
    app.router.add_route("*", "/{path:.*}", behind.answer)
    async with served(app) as url:
        yield url, behind
        behind.waiting.set()


@pytest_asyncio.fixture(scope="module")
async def behind() -> AsyncIterator[tuple[str, Platform]]:
    async with platform() as found:
        yield found


@pytest_asyncio.fixture(scope="module")
async def gated(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory, behind: tuple[str, Platform]
) -> AsyncIterator[World]:
    where = tmp_path_factory.mktemp("gate")
    async with world(postgres_server, template, where, "virtuozzo_gate", VIRTUOZZO_UPSTREAM=behind[0]) as made:
        yield made


async def stopping(gated: World, verb: str = "GET") -> tuple[Jelastic, Any]:
    """A client with a token that may stop environments, and the token."""
    client = await gated.member(verb)
    token = await client.made(apiList=STOP)
    return client.using(token["key"]), token


@BOTH
async def test_an_allowed_call_is_forwarded(gated: World, behind: tuple[str, Platform], verb: str) -> None:
    client, token = await stopping(gated, verb)
    answer = await client.call(
        STOP, envName="my-project & more", password="unneeded", Password="x", empty=None, tags=["a", "b"]
    )
    assert answer == {"result": 0, "environments": "ä"}
    method, path, fields, headers = behind[1].last
    assert (method, path) == (verb, "/1.0/environment/control/rest/stopenv")
    assert fields == {"appid": "cluster", "envName": "my-project & more", "empty": "", "tags": "a,b"}
    assert not {"Cookie", "Authorization", "X-Authorization-OTP"} & set(headers)
    assert headers["User-Agent"] == "counterfoil"
    native = (await gated.admin.get(f"/v1/tokens/{token['id']}")).json
    reported = {name: headers[f"X-Counterfoil-{name}"] for name in ("Account", "Token", "Owner", "Owner-Type")}
    owner = {"Owner": gated.person.id, "Owner-Type": "user"}
    assert reported == {"Account": gated.ours["account"], "Token": native["id"], **owner}


async def test_headers_of_the_caller_are_not_forwarded(gated: World, behind: tuple[str, Platform]) -> None:
    client, _ = await stopping(gated)
    sent = {"X-Counterfoil-Owner": "somebody", "Cookie": "a=b", "X-Base-Url": "here", "Authorization": "Bearer x"}
    path = "/virtuozzo/1.0/environment/control/rest/stopenv"
    async with gated.http.get(path, params={"session": client.session}, headers=sent) as answer:
        assert (await answer.json())["result"] == 0
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    headers = behind[1].last[3]
    assert headers["X-Counterfoil-Owner"] == gated.person.id
    assert not {"Cookie", "X-Base-Url", "Authorization"} & set(headers)


async def test_a_call_counts_as_a_use_of_the_token(gated: World) -> None:
    client, token = await stopping(gated)
    assert (await client.call(STOP, envName="a"))["result"] == 0
    async with asyncio.timeout(10):
        while True:
            shown = (await gated.admin.get(f"/v1/tokens/{token['id']}")).json
            if shown["last_used_at"]:
                break
            await asyncio.sleep(0.1)
    listed = (await (await gated.member()).auth("GetTokens", ids=token["id"]))["apiTokens"]
    assert listed[0]["lastUsed"] == shown["last_used_at"][:19].replace("T", " ")


@BOTH
async def test_a_call_that_the_token_does_not_allow_is_not_forwarded(
    gated: World, behind: tuple[str, Platform], verb: str
) -> None:
    client, token = await stopping(gated, verb)
    before = len(behind[1].requested)
    for method in ("environment.control.StartEnv", "environment.file.Read", "environment.stopenv.control"):
        refused = await client.call(method, envName="my-project")
        assert refused["result"] == TOKEN_DENIED
        assert method.lower() in refused["error"]
    for function in ("Users", "stop%2Fenv", "stop.env", "%2e%2e", "é"):
        async with gated.http.request(
            verb, f"/virtuozzo/1.0/environment/control/rest/{function}?session={client.session}"
        ) as answer:
            assert (answer.status, (await answer.json())["result"]) == (200, NOT_FOUND)
    await (await gated.member()).change("DeleteTokens", ids=token["id"])
    assert (await client.call(STOP, envName="my-project"))["result"] == NO_SESSION
    assert (await client.using("").call(STOP, envName="my-project"))["result"] == NO_SESSION
    assert len(behind[1].requested) == before


@BOTH
async def test_a_session_may_call_what_its_user_may(gated: World, verb: str) -> None:
    plain = await person(gated.admin)
    client = await gated.client(verb).signed_in(plain.login, PASSWORD)
    assert (await client.call(STOP, envName="a"))["result"] == DENIED
    for allowed in (await gated.member(verb), await gated.administrator(verb)):
        assert (await allowed.call(STOP, envName="a"))["result"] == 0


@BOTH
async def test_an_invalid_answer_of_the_platform_is_a_server_error(
    gated: World, behind: tuple[str, Platform], verb: str
) -> None:
    client, _ = await stopping(gated, verb)
    before = len(behind[1].requested)
    for name, message in (
        ("elsewhere", "302"), ("broken", "502"), ("long", "longer"), ("packed", "compressed"),
        ("cut", "did not answer"),
    ):  # fmt: skip
        answer = await client.call(STOP, envName=name)
        assert answer["result"] == SERVER
        assert message in answer["error"]
    assert len(behind[1].requested) == before + 5  # no redirect was followed and no request repeated


async def test_a_slow_platform_is_given_up(gated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = await stopping(gated)
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.2)
    answer = await client.call(STOP, envName="slow")
    assert (answer["result"], "may have been carried out" in answer["error"]) == (SERVER, True)


async def test_an_absent_or_unconfigured_platform_is_reported(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with platform() as (url, _):
        pass
    for name, more, message in (
        ("virtuozzo_away", {"VIRTUOZZO_UPSTREAM": url}, "cannot be reached"),
        ("virtuozzo_none", {}, "no platform is configured"),
    ):
        where = tmp_path_factory.mktemp(name)
        async with world(postgres_server, template, where, name, **more) as lonely:
            client, _ = await stopping(lonely)
            answer = await client.call(STOP, envName="a")
            assert answer["result"] == SERVER
            assert message in answer["error"]
            assert (await client.call("environment.control.StartEnv"))["result"] == TOKEN_DENIED


@BOTH
async def test_nothing_of_a_call_is_logged(
    gated: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], verb: str
) -> None:
    client, _ = await stopping(gated, verb)
    capfd.readouterr()
    with capture_logs() as logs:
        for name in ("a-name-of-ours", "broken", "cut", "elsewhere"):
            await client.call(STOP, envName=name, note="a-note-of-ours", password="not-for-them")
    reported = f"{logs} {caplog.text} {capfd.readouterr()}"
    assert len(logs) >= 4
    for secret in (client.session, "a-name-of-ours", "a-note-of-ours", "not-for-them", "envName"):
        assert secret not in reported


async def test_only_form_bodies_are_read(gated: World) -> None:
    client, _ = await stopping(gated)
    path = f"/virtuozzo/1.0/environment/control/rest/stopenv?session={client.session}"
    async with ClientSession(gated.url) as http, http.post(path, json={"envName": "a"}) as answer:
        assert (await answer.json())["result"] == INVALID
