"""Live streams of the log: in order, complete, without duplicates, resumable from any line."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from api.service import Caller
from api.streams import SSE, following
from api.user_fixtures import person
from counterfoil.settings import Settings
from postgres.sealing import sealed_beside


@pytest.fixture(autouse=True)
async def _sealer(api_settings: Settings) -> AsyncIterator[None]:
    async with sealed_beside(api_settings.database_url):
        yield


async def latest(caller: Caller) -> int:
    return int((await caller.get("/v1/events", after="latest", limit=1)).headers["Log-Head"])


async def replayed(caller: Caller, after: int, until: int) -> list[dict[str, object]]:
    answer = await caller.get("/v1/events", after=after)
    lines = [msgspec.json.decode(line) for line in answer.body.splitlines()]
    return [line for line in lines if "entry" in line and line["position"] <= until]


@pytest.mark.parametrize("sse", [False, True], ids=["ndjson", "sse"])
async def test_a_live_stream_sends_new_events_and_a_replay_shows_the_same(admin: Caller, *, sse: bool) -> None:
    before = await latest(admin)
    async with following(admin, sse=sse, after=before) as stream:
        made = [(await admin.issue(name=f"live {number}"))["token"]["id"] for number in range(5)]
        for each in made:
            await stream.find(each)
        positions = stream.positions
        assert positions == list(range(before + 1, positions[-1] + 1))
        shown = [{name: line[name] for name in ("position", "entry", "private")} for line in stream.events]
    assert shown == await replayed(admin, before, positions[-1])


async def test_the_headers_of_a_stream_prevent_buffering_by_proxies(admin: Caller) -> None:
    for sse, media_type in ((False, "application/x-ndjson"), (True, "text/event-stream")):
        async with following(admin, sse=sse, after="latest", headers={"Accept-Encoding": "gzip"}) as stream:
            headers = stream.answer.headers
            assert (headers["Content-Type"], headers["X-Accel-Buffering"]) == (media_type, "no")
            assert (headers["Cache-Control"], headers.get("Content-Encoding")) == ("no-store", None)


async def test_server_sent_events_begin_with_their_position(admin: Caller) -> None:
    async with following(admin, sse=True, after="latest") as stream:
        assert await stream.next() == {"retry": "1000", "id": str(stream.head), "position": stream.head}
        made = await admin.issue()
        line = await stream.find(made["token"]["id"])
        assert line.keys() == {"id", "position", "entry", "private"}
        assert stream.positions[0] == stream.head + 1


async def test_a_stream_is_resumed_at_every_position_by_after_and_by_last_event_id(admin: Caller) -> None:
    before = await latest(admin)
    for number in range(3):
        await admin.issue(name=f"cut {number}")
    async with following(admin, after=before) as whole:
        await whole.until(before + 3)
        for cut in range(before, before + 3):
            async with following(admin, after=cut) as rest:
                await rest.until(before + 3)
                assert rest.events[: before + 3 - cut] == whole.events[cut - before : 3]
            async with following(admin, sse=True, after=0, headers={"Last-Event-ID": str(cut)}) as rest:
                await rest.until(before + 3)
                assert rest.positions[: before + 3 - cut] == whole.positions[cut - before : 3]


@pytest.mark.parametrize("given", ["-1", "01", "latest", "1e3", "17\u0660", "99999999999999999999"])
async def test_an_invalid_last_event_id_is_refused(admin: Caller, given: str) -> None:
    refused = await admin.ask("GET", "/v1/events", headers={**SSE, "Last-Event-ID": given})
    assert (refused.status, refused.problem, refused.json["field"]) == (422, "invalid-request", "Last-Event-ID")
    assert given not in refused.json["detail"]


async def test_a_position_beyond_the_log_is_refused(admin: Caller) -> None:
    beyond = {"Last-Event-ID": "9000000000000000000"}
    for refused in (
        await admin.get("/v1/events", after=9_000_000_000, follow="true"),
        await admin.ask("GET", "/v1/events", headers={**SSE, **beyond}),
    ):
        assert (refused.status, refused.problem) == (400, "beyond-log")


async def test_a_live_stream_with_a_limit_is_refused(admin: Caller) -> None:
    for refused in (
        await admin.get("/v1/events", follow="true", limit=5),
        await admin.ask("GET", "/v1/events?limit=5", headers=SSE),
    ):
        assert (refused.status, refused.problem, refused.json["field"]) == (422, "invalid-request", "limit")


@pytest.mark.parametrize("sse", [False, True], ids=["ndjson", "sse"])
async def test_the_position_advances_when_a_filter_hides_everything(admin: Caller, *, sse: bool) -> None:
    before = await latest(admin)
    async with following(admin, sse=sse, after=before, kind="scope_set") as stream:
        await admin.issue()
        await stream.until(before + 1)
        assert stream.events == []


async def test_streams_share_their_reads_and_each_sees_its_own_part(admin: Caller) -> None:
    """By type, by actor and by subject: from the same batches, and the same as a replay with this filter."""
    holder = await admin.holder("tokens.create", "tokens.read")
    its = (await holder.get("/v1/tokens/self")).json["id"]
    before = await latest(admin)
    filters: list[dict[str, str]] = [{"type": "renewed"}, {"actor": its}, {"kind": "token"}, {"token": its}, {}]
    async with asyncio.TaskGroup() as tasks:
        for wanted in filters:
            tasks.create_task(_sees_the_same_live_as_later(admin, before, wanted))
        await asyncio.sleep(0.2)
        for _ in range(3):
            made = (await holder.issue(scopes=["tokens.read"]))["token"]["id"]
            assert (await admin.post(f"/v1/tokens/{made}/renew", {"lifetime": "90d"})).status == 200
        assert (await admin.post(f"/v1/tokens/{its}/renew", {"lifetime": "90d"})).status == 200


async def _sees_the_same_live_as_later(admin: Caller, before: int, wanted: dict[str, str]) -> None:
    async with following(admin, query=wanted, after=before) as stream:
        await stream.until(before + 7)
        until = stream.lines[-1]["position"]
    answer = await admin.get("/v1/events", after=before, **wanted)
    lines = [msgspec.json.decode(line) for line in answer.body.splitlines()]
    assert stream.events == [line for line in lines if "entry" in line and line["position"] <= until]


async def test_private_parts_of_users_are_streamed_only_with_users_read(admin: Caller) -> None:
    auditor = await admin.holder("audit.read")
    before = await latest(admin)
    async with following(admin, after=before) as all_of_it, following(auditor, after=before) as less:
        made = await person(admin)
        for stream, shown in ((all_of_it, True), (less, False)):
            line = await stream.find(made.id)
            assert '"kind":"user"' in line["entry"]
            assert (line["private"] is not None) == shown
            assert (made.email in str(line)) == shown


async def test_a_stream_contains_nothing_of_another_account(admin: Caller, stranger: Caller) -> None:
    before, theirs_before = await latest(admin), await latest(stranger)
    async with following(admin, after=before) as ours, following(stranger, sse=True, after=theirs_before) as theirs:
        foreign = (await stranger.issue(name="of theirs"))["token"]["id"]
        own = (await admin.issue(name="of ours"))["token"]["id"]
        await theirs.find(foreign)
        await ours.find(own)
        assert own not in str(theirs.events)
        assert foreign not in str(ours.events)
        assert ours.positions == list(range(before + 1, before + 1 + len(ours.positions)))


async def test_the_log_of_all_accounts_needs_the_scope_and_the_operators_account(admin: Caller) -> None:
    reader = await admin.holder("tokens.read")
    for query in ({"follow": "true"}, {}):
        refused = await reader.ask("GET", f"/v1/events{'?follow=true' if query else ''}", headers=SSE)
        assert (refused.status, refused.problem) == (403, "scope-missing")
    refused = await admin.get("/v1/events", follow="true", accounts="all")
    assert (refused.status, refused.problem) == (403, "operator-only")


async def test_following_the_log_is_an_event_before_the_first_line(admin: Caller) -> None:
    issued = await admin.issue(scopes=["audit.read"])
    async with following(admin.with_token(issued["secret"]), after="latest", type="renewed") as stream:
        [read] = (await admin.get("/v1/reads", reader=issued["token"]["id"])).json["items"]
        assert read["calls"] == {"log": 1}
        assert read["log"] == {"first": stream.head + 1, "last": stream.head, "filters": {"type": 1}}
