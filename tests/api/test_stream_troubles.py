"""Live streams under adverse conditions: unread, among too many connections, without database or notifications."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from aiohttp import ClientSession

from api.freezing_proxy import freezing
from api.oauth import ACCESS_TOKEN, bearer
from api.service import Caller, founded, served, settings_for
from api.streams import BOUNDED_SECONDS, following
from bench.followers import Follower, session_of, write
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.subjects.signing_key_events import RemoveKey
from counterfoil.core.subjects.signing_keys import RING
from counterfoil.door import Door
from counterfoil.postgres import sealing as postgres_sealing
from counterfoil.uses.key_encryption import Sealing
from counterfoil_api.application import make_app
from counterfoil_api.events import live as streams
from counterfoil_api.http.request_limits import BOUNDS, Bounds
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all, sealed_beside

ENDS_WITHIN_SECONDS = 6


@dataclass(frozen=True, slots=True)
class Place:
    """A service with its own limits."""

    url: str
    account: UUID
    chief: Caller
    database: Database


@pytest.fixture
async def place(database: Database, tmp_path: Path) -> AsyncIterator[Place]:
    settings = settings_for(database.app_url)
    credentials = await founded(settings, "ours", tmp_path)
    app = make_app(settings)
    app[BOUNDS] = Bounds(connections=6, unread_seconds=1.0)
    async with served(app) as url, ClientSession(url) as session:
        chief = Caller(session, f"Bearer {credentials['admin_token']}")
        yield Place(url, UUID(credentials["account"]), chief, database)


async def metric(place: Place, name: str) -> float:
    lines = (await place.chief.get("/metrics")).body.decode().splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), 0.0)


async def test_an_unread_stream_is_cut_frees_its_place_and_can_be_resumed(place: Place) -> None:
    async with sealed_beside(place.database.app_url), session_of(place.chief.credentials, stalls=True) as session:
        stalled = Follower(session, place.url, 0)
        async with stalled.open() as answer:
            open_before = await metric(place, "counterfoil_streams ")
            written = await write(place.database.owner_url, place.account, rate=6_000, seconds=3)
            async with asyncio.timeout(BOUNDED_SECONDS):
                while await metric(place, "counterfoil_streams ") >= open_before:  # noqa: ASYNC110 - another's doing
                    await asyncio.sleep(0.2)
            await stalled.read_on(answer)
        assert stalled.cut
        assert 0 < stalled.position < written
        stalled.until = written
        await asyncio.wait_for(stalled.read(), BOUNDED_SECONDS)
        assert stalled.events == stalled.position == written


async def test_open_streams_are_not_closed_to_make_room_for_other_connections(place: Place) -> None:
    async with sealed_beside(place.database.app_url), AsyncExitStack() as opened:
        open_now = [await opened.enter_async_context(following(place.chief)) for _ in range(4)]
        for _ in range(12):  # a separate connection each, left idle
            await opened.enter_async_context(idle := ClientSession(place.url))
            async with idle.get("/healthz") as answer:
                assert answer.status == 200
        made = (await place.chief.issue())["token"]["id"]
        for each in open_now:
            await each.find(made)


async def test_without_notifications_events_arrive_within_about_a_second(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_sealing, "CHANNEL", "somewhere_else")
    await seal_all(place.database.app_url)
    async with following(place.chief, after="latest") as stream:
        for _ in range(3):
            made = (await place.chief.issue())["token"]["id"]
            await seal_all(place.database.app_url)
            await stream.find(made)


async def test_streams_survive_the_loss_of_every_database_connection(place: Place) -> None:
    async with sealed_beside(place.database.app_url), following(place.chief) as stream:
        first = (await place.chief.issue())["token"]["id"]
        await stream.find(first)
        connection = await asyncpg.connect(place.database.app_url)
        for _ in range(3):
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'counterfoil' and datname = current_database()"
            )
            await asyncio.sleep(0.3)
        await connection.close()
        async with asyncio.timeout(BOUNDED_SECONDS):
            while (answer := await place.chief.post("/v1/tokens", {"name": "later"})).status != 201:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.2)
        await stream.find(answer.json["token"]["id"])
        assert stream.positions == list(range(1, len(stream.positions) + 1))


async def test_streams_show_nothing_while_callers_cannot_be_checked_and_are_cut_later(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "UNCONFIRMED_SECONDS", 4.0)
    credentials = await founded(settings_for(database.app_url), "ours", tmp_path)
    async with (
        freezing(database) as way,
        served(make_app(settings_for(way.url))) as url,
        ClientSession(url) as session,
    ):
        chief = Caller(session, f"Bearer {credentials['admin_token']}")
        async with following(chief) as stream:
            way.thawed.clear()
            since = monotonic()
            with pytest.raises(aiohttp.ClientPayloadError):
                await stream.end()
            assert monotonic() - since < ENDS_WITHIN_SECONDS + 4
        way.thawed.set()


async def test_a_bearers_stream_ends_with_its_actor_and_with_its_signing_key(place: Place) -> None:
    chief = place.chief
    subject, actor = await chief.issue(scopes=["audit.read"]), await chief.issue()
    acted = await bearer(chief, subject["secret"], actor_token=actor["secret"], actor_token_type=ACCESS_TOKEN)
    plain = await bearer(chief, subject["secret"])
    async with following(chief.with_token(acted)) as one, following(chief.with_token(plain)) as other:
        assert (await chief.post(f"/v1/tokens/{actor['token']['id']}/revoke", {"reason": "x"})).status == 200
        since = monotonic()
        assert await one.end() == {"end": "credential-ended"}
        assert monotonic() - since < ENDS_WITHIN_SECONDS
        kid = (await chief.get("/.well-known/jwks.json")).json["keys"][0]["kid"]
        async with Door(place.database.app_url) as door:
            new = Sealing(b"k" * 32).new_key()
            await door.execute(RemoveKey(account=NIL, id=RING, by=SYSTEM, kid=kid, reason="stolen", successor=new))
        since = monotonic()
        assert await other.end() == {"end": "credential-ended"}
        assert monotonic() - since < ENDS_WITHIN_SECONDS
