"""Canvus' subscriptions: the state, then every change by any caller at any process; and their ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from msgspec.structs import replace

from api.service import Caller, basic, served, settings_for
from api.user_fixtures import Person, person
from counterfoil_api.application import make_app
from counterfoil_api.dialects.canvus.streams import Subscription
from counterfoil_dev.postgres import Database
from dialects.accounts import Account, opened
from postgres.sealing import sealed_beside
from security.processes import several

PATH = "/canvus/api/v1/users"
ENDS_WITHIN_SECONDS = 6
PATIENCE_SECONDS = 30


class Lines:
    """An open subscription."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def raw(self) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.answer.content.readline()

    async def next(self) -> Any:
        """The next line with content; None at the end."""
        while (line := await self.raw()) == b"\n":
            pass
        assert not line or line.endswith(b"\n")
        return json.loads(line) if line else None

    async def end(self) -> list[Any]:
        """Read to the end."""
        found = []
        while (line := await self.next()) is not None:
            found.append(line)
        return found


@asynccontextmanager
async def subscribed(caller: Caller, path: str, query: str = "subscribe") -> AsyncIterator[Lines]:
    patience = ClientTimeout(total=None, sock_read=PATIENCE_SECONDS)
    async with caller.session.get(f"{path}?{query}", headers=caller.headers, timeout=patience) as answer:
        assert answer.status == 200, await answer.read()
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Transfer-Encoding"] == "chunked"
        yield Lines(answer)


def with_token(session: ClientSession, plain: str) -> Caller:
    return Caller(session, "", {"Private-Token": plain})


class Reader:
    """A new user with a token, and the path of their tokens."""

    def __init__(self, person: Person, token: dict[str, Any], session: ClientSession) -> None:
        self.person, self.token = person, token
        self.path = f"{PATH}/{person.number}/access-tokens"
        self.caller = with_token(session, token["secret"])
        self.owner = {"type": "user", "id": person.id}

    async def made(self, description: str) -> dict[str, Any]:
        answer = await self.caller.post(self.path, {"description": description})
        assert answer.status == 200, answer.body
        return {name: text for name, text in answer.json.items() if name != "plain_token"} | {"state": "normal"}


async def reader(native: Caller) -> Reader:
    somebody = await person(native)
    owner = {"type": "user", "id": somebody.id}
    token = await native.issue(name="reads", owner=owner, scopes=["own.*"])
    return Reader(somebody, token, native.session)


@pytest.mark.parametrize("query", ["subscribe", "subscribe=true", "subscribe=1", "subscribe&more"])
async def test_a_list_is_followed_by_every_change(native: Caller, query: str) -> None:
    they = await reader(native)
    first = await they.made("First token")
    async with subscribed(they.caller, they.path, query) as lines:
        state = await lines.next()
        assert [each["description"] for each in state] == ["reads", "First token"]
        assert state[1] == first
        second = await they.made("Second token")
        assert await lines.next() == second
        renamed = await they.caller.patch(f"{they.path}/{first['id']}", {"description": "Zoë's \u200d token"})
        assert renamed.status == 200
        line = await lines.raw()
        assert b"\\u200d" in line  # characters that affect terminals or line readers are escaped
        assert json.loads(line) == first | {"description": "Zoë's \u200d token"}
        assert (await they.caller.delete(f"{they.path}/{second['id']}")).status == 200
        assert await lines.next() == second | {"state": "deleted"}
        native_one = await native.issue(name="by another API", owner=they.owner)
        assert (await lines.next())["description"] == "by another API"
        token = f"/v1/tokens/{native_one['token']['id']}"
        await native.issue(name="of somebody else")
        for changed, body in (("rotate", {"grace": "0s"}), ("suspend", {"reason": "looked at"})):
            await native.post(f"{token}/{changed}", body)
            assert (await lines.next())["description"] == "by another API"
        login = {"email": they.person.login, "password": they.person.password}
        assert (await they.caller.post(f"{PATH}/login", login)).status == 200  # a login is no access token
        await native.patch(token, {"name": "renamed", "description": "more of it"})
        assert (await lines.next())["description"] == "renamed"
        await native.post(f"{token}/revoke", {"reason": "done"})
        assert await lines.next() | {"created_at": "", "id": ""} == {
            "created_at": "", "description": "renamed", "id": "", "state": "deleted",
        }  # fmt: skip


async def test_a_subscription_to_one_token_shows_only_it(native: Caller) -> None:
    they = await reader(native)
    one, other = await they.made("one"), await they.made("other")
    async with subscribed(they.caller, f"{they.path}/{one['id']}") as lines:
        assert await lines.next() == one
        for each in (other, one):
            await they.caller.patch(f"{they.path}/{each['id']}", {"description": "changed"})
        assert await lines.next() == one | {"description": "changed"}
        await they.caller.delete(f"{they.path}/{other['id']}")
        await they.caller.delete(f"{they.path}/{one['id']}")
        assert await lines.next() == one | {"description": "changed", "state": "deleted"}


async def test_a_request_without_subscribe_ends(native: Caller) -> None:
    they = await reader(native)
    for query in ("subscribe=false", "subscribe=0", "other=1"):
        async with they.caller.session.get(f"{they.path}?{query}", headers=they.caller.headers) as answer:
            assert [each["description"] for each in await answer.json()] == ["reads"]
            assert answer.content_length is not None
    stranger = await reader(native)
    async with stranger.caller.session.get(f"{they.path}?subscribe", headers=stranger.caller.headers) as refused:
        assert (refused.status, (await refused.json())["msg"]) == (403, "Permission denied")


async def test_changes_during_the_beginning_of_a_subscription_are_shown_once(native: Caller) -> None:
    they = await reader(native)
    over = asyncio.Event()

    async def change(number: int) -> None:
        made = await they.made(f"{number}")
        await they.caller.patch(f"{they.path}/{made['id']}", {"description": f"{number} again"})
        if number % 2:
            await they.caller.delete(f"{they.path}/{made['id']}")

    async def follow(late: float) -> dict[str, str]:
        await asyncio.sleep(late)
        async with subscribed(they.caller, they.path) as lines:
            known = {each["id"]: each for each in await lines.next()}
            while not over.is_set() or "last" not in {each["description"] for each in known.values()}:
                line = await lines.next()
                assert line != known.get(line["id"]), "shown twice"
                known[line["id"]] = line
        return {each["id"]: each["description"] for each in known.values() if each["state"] == "normal"}

    followers = [asyncio.create_task(follow(late / 20)) for late in range(8)]
    for begin in range(0, 24, 3):
        await asyncio.gather(*(change(number) for number in range(begin, begin + 3)))
    over.set()
    await they.made("last")
    listed = {each["id"]: each["description"] for each in (await they.caller.get(they.path)).json}
    assert len(listed) == 14
    assert await asyncio.gather(*followers) == [listed] * len(followers)


async def test_blank_lines_carry_no_content(native: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Subscription, "silence_seconds", 0.3)
    they = await reader(native)
    async with subscribed(they.caller, they.path) as lines:
        await lines.next()
        assert [await lines.raw() for _ in range(3)] == [b"\n"] * 3


async def _revoked(native: Caller, they: Reader) -> None:
    await native.post(f"/v1/tokens/{they.token['token']['id']}/revoke", {"reason": "lost"})


async def _disabled(native: Caller, they: Reader) -> None:
    await native.post(f"/v1/users/{they.person.id}/disable", {"reason": "away"})


async def _without_scope(native: Caller, they: Reader) -> None:
    await native.patch(f"/v1/tokens/{they.token['token']['id']}", {"scopes": ["own.create"]})


@pytest.mark.parametrize("ended", [_revoked, _disabled, _without_scope])
async def test_a_subscription_ends_with_its_credential(native: Caller, ended: Any) -> None:
    they = await reader(native)
    async with subscribed(they.caller, they.path) as lines:
        assert len(await lines.next()) == 1
        since = monotonic()
        await ended(native, they)
        assert [line["state"] for line in await lines.end()] in ([], ["normal"], ["deleted"])
        assert monotonic() - since < ENDS_WITHIN_SECONDS


@pytest.fixture
async def alone(database: Database, tmp_path: Path) -> Account:
    return await opened(settings_for(database.app_url), "alone", tmp_path)


async def test_a_subscription_ends_when_the_service_stops_and_counts_as_a_stream_of_the_account(
    database: Database, alone: Account
) -> None:
    path = f"{PATH}/{alone.member_user_number}/access-tokens"
    settings = replace(settings_for(database.app_url), streams_per_account=1)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())
        serving = served(make_app(settings), sealed=database.app_url)
        url = await serving.__aenter__()
        caller = with_token(session, alone.member_token)
        lines = await stack.enter_async_context(subscribed(caller, url + path))
        await lines.next()
        async with session.get(f"{url}{path}?subscribe", headers=caller.headers) as refused:
            assert refused.status == 429
            assert set(await refused.json()) == {"msg", "message"}
        stopping = asyncio.create_task(serving.__aexit__(None, None, None))
        assert await lines.end() == []
        await stopping


async def test_changes_arrive_from_another_process_and_another_dialect(database: Database, alone: Account) -> None:
    path = f"{PATH}/{alone.member_user_number}/access-tokens"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sealed_beside(database.app_url))
        urls = await stack.enter_async_context(several(database, 2))
        here, elsewhere = [await stack.enter_async_context(ClientSession(url)) for url in urls]
        lines = await stack.enter_async_context(subscribed(with_token(here, alone.member_token), path))
        assert [each["description"] for each in await lines.next()] == ["member"]
        scalingo = Caller(elsewhere, basic(alone.member_login, alone.member_password))
        made = await scalingo.post("/scalingo/v1/tokens", {"token": {"name": "by scalingo"}})
        assert made.status == 201, made.body
        found = await lines.next()
        assert (found["description"], found["state"]) == ("by scalingo", "normal")
        deleted = await with_token(elsewhere, alone.admin_token).delete(f"{path}/{found['id']}")
        assert deleted.status == 200
        assert await lines.next() == found | {"state": "deleted"}
