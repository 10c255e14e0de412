"""How live streams end: with the credential, the process or the connection; each end frees a place."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession

from api.service import Caller, founded, served, settings_for
from api.streams import BOUNDED_SECONDS, SSE, Following, following
from api.user_fixtures import person
from counterfoil.postgres.sealed_log import Window
from counterfoil_api.application import make_app
from counterfoil_api.events.streams import Streams
from counterfoil_api.native.events import operations, replaying
from counterfoil_api.native.events.log_request import LogRequest
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all, sealed_beside

ENDS_WITHIN_SECONDS = 5


@pytest.fixture
async def chief(database: Database, tmp_path: Path) -> AsyncIterator[Caller]:
    """An administrator of a separate service with a sealer."""
    settings = settings_for(database.app_url, STREAMS_PER_ACCOUNT="3")
    credentials = await founded(settings, "ours", tmp_path)
    async with (
        sealed_beside(database.app_url),
        served(make_app(settings)) as url,
        ClientSession(url) as session,
    ):
        yield Caller(session, f"Bearer {credentials['admin_token']}")


@pytest.fixture
async def access_log(chief: Caller) -> Caller:
    """A caller whose streams must go on when another's credential ends."""
    return await chief.holder("audit.read")


async def refuse_to_go_on(stream: Following, since: float) -> None:
    last = await stream.end()
    assert monotonic() - since < ENDS_WITHIN_SECONDS + 1
    if stream.sse:
        assert last == {"event": "end", "reason": "credential-ended"}
    else:
        assert last == {"end": "credential-ended"}


@pytest.mark.parametrize("sse", [False, True], ids=["ndjson", "sse"])
async def test_a_revoked_tokens_stream_ends_and_no_other(chief: Caller, access_log: Caller, *, sse: bool) -> None:
    issued = await chief.issue(scopes=["audit.read"])
    reader = chief.with_token(issued["secret"])
    async with following(reader, sse=sse) as stream, following(access_log) as other:
        since = monotonic()
        assert (await chief.post(f"/v1/tokens/{issued['token']['id']}/revoke", {"reason": "lost"})).status == 200
        await refuse_to_go_on(stream, since)
        made = (await chief.issue())["token"]["id"]
        assert made in (await other.find(made))["entry"]


async def _rotated(chief: Caller, token: str) -> None:
    assert (await chief.post(f"/v1/tokens/{token}/rotate", {"grace": "0s"})).status == 200


async def _suspended(chief: Caller, token: str) -> None:
    assert (await chief.post(f"/v1/tokens/{token}/suspend", {"reason": "looked at"})).status == 200


async def _less(chief: Caller, token: str) -> None:
    assert (await chief.patch(f"/v1/tokens/{token}", {"scopes": ["tokens.read"]})).status == 200


async def _elsewhere(chief: Caller, token: str) -> None:
    assert (await chief.patch(f"/v1/tokens/{token}", {"networks": ["192.0.2.0/24"]})).status == 200


async def _secrets_ended(chief: Caller, _: str) -> None:
    assert (await chief.post("/v1/account/end-secrets", {"reason": "copied"})).status == 200


async def _networks(chief: Caller, _: str) -> None:
    policy = {"networks": ["192.0.2.0/24"]}
    assert (await chief.patch("/v1/account", {"policy": policy, "shut_me_out": True})).status == 200


@pytest.mark.parametrize("ended", [_rotated, _suspended, _less, _elsewhere, _secrets_ended, _networks])
async def test_a_stream_ends_when_its_token_loses_a_needed_right(
    chief: Caller, ended: Callable[[Caller, str], Awaitable[None]]
) -> None:
    issued = await chief.issue(scopes=["audit.read"])
    by_secret = chief.with_token(issued["secret"])
    by_bearer = chief.with_token((await by_secret.post("/v1/exchange", {})).json["access_token"])
    async with following(by_secret) as one, following(by_bearer) as other:
        since = monotonic()
        await ended(chief, issued["token"]["id"])
        await asyncio.gather(refuse_to_go_on(one, since), refuse_to_go_on(other, since))


async def test_a_stream_survives_unrelated_changes(chief: Caller) -> None:
    issued = await chief.issue(scopes=["audit.read", "tokens.read"], lifetime="30d")
    reader, path = chief.with_token(issued["secret"]), f"/v1/tokens/{issued['token']['id']}"
    async with following(reader) as stream:
        for changed in (
            await chief.patch(path, {"scopes": ["audit.read"], "name": "another", "rate_limit": "600/1m"}),
            await chief.post(f"{path}/renew", {"lifetime": "90d"}),
            await chief.post(f"{path}/rotate", {"grace": "1h"}),
        ):
            assert changed.status == 200
        await asyncio.sleep(4)
        made = (await chief.issue())["token"]["id"]
        await stream.find(made)


async def test_streams_end_when_their_token_or_bearer_expires(chief: Caller) -> None:
    short = await chief.issue(scopes=["audit.read"], lifetime="2s")
    async with following(chief.with_token(short["secret"])) as stream:
        await refuse_to_go_on(stream, monotonic() + 2)
    issued = await chief.issue(scopes=["audit.read"], lifetime="3s")
    bearer = (await chief.with_token(issued["secret"]).post("/v1/exchange", {})).json["access_token"]
    renewed = await chief.post(f"/v1/tokens/{issued['token']['id']}/renew", {"lifetime": "1h"})
    assert renewed.status == 200  # a renewal does not extend the bearer
    async with following(chief.with_token(bearer)) as stream:
        await refuse_to_go_on(stream, monotonic() + 3)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/disable", {"reason": "left"}), ("/remove", {"reason": "left"}), ("", {"role": "member"})],
)
async def test_the_stream_of_a_user_ends_when_they_lose_a_needed_right(
    chief: Caller, path: str, body: dict[str, str]
) -> None:
    grace = await person(chief, "auditor")
    async with following(grace.asks()) as stream:
        since = monotonic()
        target = f"/v1/users/{grace.id}{path}"
        changed = await (chief.post(target, body) if path else chief.patch(target, body))
        assert changed.status == 200, changed.body
        await refuse_to_go_on(stream, since)


async def test_the_streams_of_an_account_are_limited_and_every_end_frees_a_place(chief: Caller) -> None:
    async def refused() -> None:
        one_more = await chief.get("/v1/events", follow="true")
        assert (one_more.status, one_more.problem) == (429, "too-many-streams")
        assert int(one_more.headers["Retry-After"]) > 0

    issued = await chief.issue(scopes=["audit.read"])
    async with following(chief) as first, following(chief, sse=True):
        assert first.head
        async with following(chief.with_token(issued["secret"])) as third:
            await refused()
            assert (await chief.get("/v1/events")).status == 200  # finite replies take no place
            assert (await chief.post(f"/v1/tokens/{issued['token']['id']}/revoke", {"reason": "x"})).status == 200
            await third.end()
        assert (await chief.ask("HEAD", "/v1/events?follow=true")).status == 200
        assert (await chief.get("/v1/events", follow="true", after=9_000_000)).status == 400
        async with following(chief):
            await refused()
        await _has_a_place(chief)
    metrics = (await chief.get("/metrics")).body.decode()
    assert 'counterfoil_streams_ended_total{reason="credential-ended"}' in metrics
    assert 'counterfoil_streams_ended_total{reason="reader-gone"}' in metrics


async def _has_a_place(chief: Caller) -> None:
    """Get a place soon after a client has disconnected silently."""
    async with asyncio.timeout(BOUNDED_SECONDS):
        while True:
            headers = {"Authorization": chief.credentials, **SSE}
            async with chief.session.get("/v1/events", headers=headers) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.2)


async def test_a_stopping_service_ends_its_streams_at_once(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database.app_url)
    credentials = await founded(settings, "ours", tmp_path)
    async with ClientSession() as session:
        async with served(make_app(settings), sealed=database.app_url) as url:
            headers = {"Authorization": f"Bearer {credentials['admin_token']}"}
            plain = await session.get(f"{url}/v1/events?follow=true", headers=headers)
            events = await session.get(f"{url}/v1/events", headers=headers | SSE)
            assert await plain.content.readline()
            assert await events.content.readline()
            since = monotonic()
        assert monotonic() - since < ENDS_WITHIN_SECONDS
        for each in (plain, events):
            await each.read()  # complete: the stream had a proper end
            each.close()


@pytest.mark.parametrize("ended", ["credential", "process"])
async def test_a_long_read_stops_when_its_credential_or_its_process_ends(
    chief: Caller, database: Database, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    issued = await chief.issue(scopes=["audit.read"])
    reader, real = chief.with_token(issued["secret"]), LogRequest.window
    streams, replay = [], replaying.replay
    assert await seal_all(database.app_url) > 3

    def replayed(held: Streams, *rest: Any) -> AsyncGenerator[bytes, None]:
        streams.append(held)
        return replay(held, *rest)

    async def window(request: LogRequest, *, after: int, limit: int) -> Window:
        found = await real(request, after=after, limit=limit)
        assert found.reached == request.head  # one window covers all of it
        if ended == "process":
            streams[0].stopping.set()
        else:
            assert (await chief.post(f"/v1/tokens/{issued['token']['id']}/revoke", {"reason": "lost"})).status == 200
        return found

    monkeypatch.setattr(operations, "replay", replayed)
    monkeypatch.setattr(LogRequest, "window", window)
    monkeypatch.setattr(replaying, "_CHUNK", 1)
    monkeypatch.setattr(replaying, "_CHECK_SECONDS", -1.0)
    with pytest.raises(ClientPayloadError):
        await reader.get("/v1/events")
