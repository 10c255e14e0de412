"""Canvus' subscriptions in detail: no change is lost, stale or duplicated, and no reader continues without rights."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import msgspec
import pytest
from aiohttp import ClientResponse, ClientSession, ClientTimeout

from api.service import Caller, basic, served, settings_for
from api.user_fixtures import person
from counterfoil_api.application import make_app
from counterfoil_api.dialects.canvus.streams import Subscription
from counterfoil_api.http.request_limits import BOUNDS, Bounds
from counterfoil_dev.postgres import Database
from dialects.accounts import Account, opened
from postgres.sealing import seal_all, sealed_beside

BOUNDED_SECONDS = 30
ENDS_WITHIN_SECONDS = 6
PATH = "/canvus/api/v1/users"


@dataclass(slots=True)
class Subscribed:
    """An open stream."""

    answer: ClientResponse

    async def line(self) -> bytes:
        """The next line of any kind; empty at the end."""
        async with asyncio.timeout(BOUNDED_SECONDS):
            return await self.answer.content.readline()

    async def next(self) -> Any:
        """The value on the next line that has one."""
        while (line := await self.line()) == b"\n":
            pass
        assert line.endswith(b"\n")
        return msgspec.json.decode(line)

    async def end(self) -> list[Any]:
        """Read to the end; return what was there before."""
        lines = []
        while line := await self.line():
            lines.append(line)
        return [msgspec.json.decode(line) for line in lines if line != b"\n"]


@dataclass(slots=True)
class Place:
    """Two API processes on one database with a sealer, an account, and its member's tokens."""

    first: str
    second: str
    session: ClientSession
    account: Account
    database: Database

    @property
    def own(self) -> str:
        return f"{PATH}/{self.account.member_user_number}/access-tokens"

    def canvus(self, plain: str, url: str | None = None) -> Caller:
        return Caller(_At(self.session, url or self.first), "", {"Private-Token": plain})  # type: ignore[arg-type] # all that it asks for

    @property
    def member(self) -> Caller:
        return self.canvus(self.account.member_token)

    @property
    def admin(self) -> Caller:
        return self.canvus(self.account.admin_token)

    def native(self, url: str | None = None) -> Caller:
        return Caller(_At(self.session, url or self.first), f"Bearer {self.account.admin_token}")  # type: ignore[arg-type] # likewise


@dataclass(slots=True)
class _At:
    """The session of one of several services."""

    session: ClientSession
    url: str

    def request(self, method: str, path: str, **more: Any) -> Any:
        return self.session.request(method, self.url + path, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.session.get(self.url + path, **more)


@pytest.fixture
async def place(database: Database, tmp_path: Path) -> AsyncIterator[Place]:
    settings = settings_for(database.app_url, STREAMS_PER_ACCOUNT="3")
    account = await opened(settings, "ours", tmp_path)
    patience = ClientTimeout(total=None, sock_read=BOUNDED_SECONDS)
    async with (
        sealed_beside(database.app_url),
        served(make_app(settings)) as first,
        served(make_app(settings)) as second,
        ClientSession(timeout=patience, read_bufsize=2**20) as session,
    ):
        yield Place(first, second, session, account, database)


@asynccontextmanager
async def subscribed(caller: Caller, path: str, how: str = "?subscribe") -> AsyncIterator[Subscribed]:
    """Subscribe; returns when the answer has begun."""
    async with caller.session.get(path + how, headers=caller.headers) as answer:
        assert answer.status == 200, await answer.read()
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.headers["Content-Type"] == "application/json"
        yield Subscribed(answer)


async def made(caller: Caller, path: str, description: str = "Second token") -> Any:
    answer = await caller.post(path, {"description": description})
    assert answer.status == 200, answer.body
    return answer.json


def shown(token: Any, **more: object) -> Any:
    """A token as shown in a stream: never with its secret."""
    return {each: token[each] for each in ("created_at", "description", "id")} | {"state": "normal"} | more


async def test_a_subscription_to_one_token_shows_every_change_of_it_and_no_other(place: Place) -> None:
    token = await made(place.member, place.own)
    path, native = f"{place.own}/{token['id']}", place.native(place.second)
    theirs = native.with_token(token["plain_token"])
    number = (await theirs.get("/v1/tokens/self")).json["number"]
    async with subscribed(place.member, path) as stream:
        assert await stream.next() == shown(token)
        await made(place.member, place.own, "another")
        assert (await theirs.post("/v1/exchange", {})).status == 200  # a use is no change
        for changed in (
            await native.patch(f"/v1/tokens/{number}", {"name": "natively"}),
            await native.post(f"/v1/tokens/{number}/suspend", {"reason": "looked at"}),
            await native.post(f"/v1/tokens/{number}/rotate", {"grace": "0s"}),
            await native.post(f"/v1/tokens/{number}/revoke", {"reason": "done"}),
        ):
            assert changed.status == 200, changed.body
        for state in ("normal", "normal", "normal", "deleted"):
            assert await stream.next() == shown(token, description="natively", state=state)
    assert (await place.member.get(f"{path}?subscribe")).status == 404


async def test_tokens_of_another_dialect_are_shown_and_sessions_are_not(place: Place) -> None:
    async with subscribed(place.admin, place.own) as stream:
        await stream.next()
        await made(place.admin, f"{PATH}/{place.account.admin_user_number}/access-tokens", "of somebody else")
        password = {"email": place.account.member_email, "password": place.account.member_password}
        assert (await place.admin.post(f"{PATH}/login", password)).status == 200  # makes a session
        native = place.native()
        owner = {"type": "user", "id": str(place.account.member_user_id)}
        await native.issue(name="native", owner=owner, scopes=["own.read"])
        assert (await stream.next())["description"] == "native"
        scalingo = Caller(native.session, basic(place.account.member_login, place.account.member_password))
        token = (await scalingo.post("/scalingo/v1/tokens", {"token": {"name": "scalingo"}})).json["token"]
        first = await stream.next()
        assert first["description"] == "scalingo"
        exchanged = await Caller(native.session, basic("", place.account.member_token)).post(
            "/scalingo/v1/tokens/exchange"
        )
        scalingo = native.with_token(exchanged.json["token"])
        assert (await scalingo.patch(f"/scalingo/v1/tokens/{token['id']}/renew", {})).status == 200
        assert await stream.next() == first
        assert (await scalingo.delete(f"/scalingo/v1/tokens/{token['id']}")).status == 204
        assert await stream.next() == first | {"state": "deleted"}


async def test_changes_at_the_moment_of_subscribing_are_shown_once_in_the_state_or_in_a_line(place: Place) -> None:
    """Whatever happens during the first line, the lines give the final state, and each change is there once."""
    token = await made(place.member, place.own, "0")
    path, over = f"{place.own}/{token['id']}", asyncio.Event()
    elsewhere = place.canvus(place.account.member_token, place.second)

    async def change() -> None:
        number = 0
        while not over.is_set():
            number += 1
            assert (await elsewhere.patch(path, {"description": str(number)})).status == 200

    changing = asyncio.create_task(change())
    for _ in range(5):
        async with subscribed(place.member, path) as stream:
            seen = [int((await stream.next())["description"]) for _ in range(10)]
            assert seen == list(range(seen[0], seen[0] + 10))
    over.set()
    await changing


async def test_a_token_created_and_deleted_before_the_state_was_read_is_not_shown(
    database: Database, tmp_path: Path
) -> None:
    settings = settings_for(database.app_url)
    account = await opened(settings, "ours", tmp_path)
    own = f"{PATH}/{account.member_user_number}/access-tokens"
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        member = Caller(session, "", {"Private-Token": account.member_token})
        gone, kept = await made(member, own, "gone"), await made(member, own, "kept")
        assert (await member.delete(f"{own}/{gone['id']}")).status == 200
        assert (await member.patch(f"{own}/{kept['id']}", {"description": "kept on"})).status == 200
        async with subscribed(member, own) as stream:  # nothing is sealed yet: all of it comes after the head
            state = await stream.next()
            assert [each["description"] for each in state if each["id"] in (gone["id"], kept["id"])] == ["kept on"]
            await seal_all(database.app_url)
            last = await made(member, own, "last")
            await seal_all(database.app_url)
            assert await stream.next() == shown(last)


async def test_a_stream_is_refused_like_any_other_request(place: Place) -> None:
    of_admin = f"{PATH}/{place.account.admin_user_number}/access-tokens?subscribe"
    nobody = f"{PATH}/987654321/access-tokens?subscribe"
    for caller, path, status in (
        (place.canvus("x" * 43), f"{place.own}?subscribe", 401),
        (place.member, of_admin, 403),
        (place.member, nobody, 403),
        (place.admin, nobody, 404),
        (place.member, f"{place.own}/{'A' * 80}?subscribe", 404),
    ):
        answer = await caller.get(path)
        assert (answer.status, set(answer.json)) == (status, {"msg", "message"})
    assert (await place.member.ask("HEAD", f"{place.own}?subscribe")).status == 200
    async with (
        subscribed(place.admin, place.own),
        subscribed(place.member, place.own),
        subscribed(place.member, place.own),
    ):
        full = await place.member.get(f"{place.own}?subscribe")
        assert (full.status, set(full.json)) == (429, {"msg", "message"})
        assert int(full.headers["Retry-After"]) > 0


async def _revoked(place: Place, token: Any) -> None:
    assert (await place.admin.delete(f"{place.own}/{token['id']}")).status == 200


async def _rotated(place: Place, token: Any) -> None:
    itself = place.native(place.second).with_token(token["plain_token"])
    number = (await itself.get("/v1/tokens/self")).json["id"]
    answer = await place.native().post(f"/v1/tokens/{number}/rotate", {"grace": "0s"})
    assert answer.status == 200


async def _disabled(place: Place, _: Any) -> None:
    path = f"/v1/users/{place.account.member_user_id}/disable"
    assert (await place.native(place.second).post(path, {"reason": "left"})).status == 200


@pytest.mark.parametrize("ended", [_revoked, _rotated, _disabled])
async def test_a_stream_ends_with_its_credential_and_no_other_does(place: Place, ended: Any) -> None:
    token = await made(place.member, place.own)
    async with (
        subscribed(place.canvus(token["plain_token"]), place.own) as stream,
        subscribed(place.admin, place.own) as other,
    ):
        await other.next()
        since = monotonic()
        await ended(place, token)
        assert isinstance((await stream.end())[0], list)
        assert monotonic() - since < ENDS_WITHIN_SECONDS
        later = await made(place.admin, f"{PATH}/{place.account.member_user_number}/access-tokens", "later")
        while await other.next() != shown(later):
            pass


async def test_streams_of_a_login_and_a_bearer_end_with_them(place: Place) -> None:
    somebody = await person(place.native())
    path = f"{PATH}/{somebody.number}/access-tokens"
    login = await place.canvus("").post(f"{PATH}/login", {"email": somebody.login, "password": somebody.password})
    session = place.canvus(login.json["token"])
    async with subscribed(session, path) as stream:
        assert await stream.next() == []
        assert (await session.post(f"{PATH}/logout", {})).status == 200
        assert await stream.end() == []

    issued = await place.native().issue(scopes=["own.*"], lifetime="3s", owner={"type": "user", "id": somebody.id})
    bearer = (await place.native().with_token(issued["secret"]).post("/v1/exchange", {})).json["access_token"]
    native = place.native()
    assert (await native.post(f"/v1/tokens/{issued['token']['id']}/renew", {"lifetime": "1h"})).status == 200
    async with subscribed(place.canvus(bearer), path) as stream:
        since = monotonic()
        await stream.end()
        assert monotonic() - since < ENDS_WITHIN_SECONDS + 3


async def test_a_bearer_creates_no_token_that_outlives_it(place: Place) -> None:
    native = place.native()
    bearer = (await native.with_token(place.account.member_token).post("/v1/exchange", {})).json["access_token"]
    answer = await place.canvus(bearer).post(place.own, {"description": "for ever"})
    assert (answer.status, answer.json["msg"]) == (403, "Permission denied")


async def test_a_reader_that_does_not_read_is_cut(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Subscription, "silence_seconds", 0.0)
    monkeypatch.setattr(Subscription, "_keep_alive", lambda _: b"\n" * 2**20)  # more than all buffers on the way hold
    settings = settings_for(database.app_url)
    account = await opened(settings, "ours", tmp_path)
    app = make_app(settings)
    app[BOUNDS] = Bounds(unread_seconds=1.0)
    own = f"{PATH}/{account.member_user_number}/access-tokens?subscribe"
    async with (
        served(app, sealed=database.app_url) as url,
        ClientSession(url) as session,
        session.get(own, headers={"Private-Token": account.member_token}) as answer,
        asyncio.timeout(BOUNDED_SECONDS),
    ):
        assert answer.status == 200
        while await _open(session) > 0:  # noqa: ASYNC110 - the service's doing
            await asyncio.sleep(0.2)


async def _open(session: ClientSession) -> float:
    async with session.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("counterfoil_streams "))


async def test_a_subscription_to_another_account_shows_nothing_of_ours(place: Place, tmp_path: Path) -> None:
    (there_directory := tmp_path / "there").mkdir()
    settings = settings_for(place.database.app_url)
    there = await opened(settings, "there", there_directory)
    other = place.canvus(there.admin_token)
    token = await made(place.member, place.own)
    theirs = f"{PATH}/{there.member_user_number}/access-tokens"
    assert (await other.get(f"{theirs}/{token['id']}?subscribe")).status == 404
    async with subscribed(other, theirs) as stream:
        first = await stream.next()
        assert token["id"] not in {each["id"] for each in first}
        await place.member.patch(f"{place.own}/{token['id']}", {"description": "ours"})
        last = await made(other, theirs, "theirs")
        assert await stream.next() == shown(last)


async def test_a_stream_survives_the_loss_of_all_database_connections(place: Place) -> None:
    async with subscribed(place.member, place.own) as stream:
        await stream.next()
        connection = await asyncpg.connect(place.database.app_url)
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'counterfoil' and datname = current_database()"
        )
        await connection.close()
        async with asyncio.timeout(BOUNDED_SECONDS):
            while (answer := await place.member.post(place.own, {"description": "later"})).status != 200:  # noqa: ASYNC110 - the database's doing
                await asyncio.sleep(0.2)
        assert await stream.next() == shown(answer.json)
