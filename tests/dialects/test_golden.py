"""Every example of the vendors' pages, replayed as printed; the answers have the shape of those on the pages."""

import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from api.service import Caller, basic, served, settings_for
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import OWNER, Postgres
from dialects.accounts import Account, opened
from dialects.golden_files import HERE, differences, examples

VENDORS = sorted(path.stem for path in HERE.glob("*.txt"))


async def stopped(_: web.Request) -> web.Response:
    """The answer of the platform behind the service."""
    return web.json_response({"result": 0})


@pytest_asyncio.fixture(scope="module")
async def known(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Caller, dict[str, str]]]:
    """A caller without credentials, and the known values of the file."""
    postgres_server.run(f"create database golden owner {OWNER} template {template};")
    platform = web.Application()
    platform.router.add_route("*", "/{path:.*}", stopped)
    async with served(platform) as upstream:
        settings = settings_for(postgres_server.database("golden").app_url, VIRTUOZZO_UPSTREAM=upstream)
        account: Account = await opened(settings, "golden", tmp_path_factory.mktemp("golden"))
        async with served(make_app(settings)) as url, ClientSession(url) as session:
            reported = {name: str(value) for name, value in msgspec.to_builtins(account).items()}
            reported["basic"] = basic(account.member_login, account.member_password).removeprefix("Basic ")
            yield Caller(session, ""), reported
    postgres_server.run("drop database if exists golden with (force);")


@pytest.mark.parametrize("vendor", VENDORS)
async def test_every_example_of_a_page_is_answered_as_printed(
    vendor: str, known: tuple[Caller, dict[str, str]]
) -> None:
    stranger, reported = known[0], dict(known[1])
    base, requested = examples(vendor)
    assert len(requested) > 2
    for example in requested:
        path, body = filled(example.path, reported), filled(example.body, reported)
        headers = {name: filled(value, reported) for name, value in example.headers.items()}
        caller = Caller(stranger.session, headers.pop("Authorization", ""))
        answer = await caller.ask(example.method, base + path, body.encode(), headers=headers)
        assert answer.status == example.status, (example.title, answer.body)
        if example.answer is None:
            assert answer.body in (b"", b"{}", b"null"), example.title
            continue
        assert example.differences(answer.json) == [], (example.title, answer.json)
        for name, place in example.kept.items():
            reported[name] = found(answer.json, place)


def test_differences_are_detected() -> None:
    printed: Any = {"id": "575ec7417ae143cd83dc4a95", "at": "2016-06-13T04:00:00.000Z", "tags": ["a"], "n": 1}
    wrongs: list[dict[str, Any]] = [{"id": "7"}, {"at": "2016-06-13T04:00:00Z"}, {"tags": []}, {"n": "1"}, {"more": 1}]
    for wrong in wrongs:
        assert differences(printed, printed | wrong, frozenset())
    assert differences(printed, dict(reversed(printed.items())), frozenset())
    assert differences(printed, printed | {"more": 1}, frozenset({"more"})) == []
    assert differences(printed, printed | {"at": None}, frozenset())
    assert differences(printed, printed | {"at": None}, frozenset(), frozenset({"at"})) == []


def filled(text: str, reported: dict[str, str]) -> str:
    """A text with its names replaced by their values."""

    def imported_digests(match: re.Match[str]) -> str:
        name = match[1]
        secret = name.removeprefix("basic::")
        return basic("", reported[secret]).removeprefix("Basic ") if secret != name else reported[name]

    return re.sub(r"\{([a-z_:]+)\}", imported_digests, text)


def found(answer: Any, place: str) -> str:
    for name in place.split("."):
        answer = answer[name]
    return str(answer)
