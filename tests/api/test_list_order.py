"""Lists are in the order of creation, whatever the clocks of the processes that made the ids show."""

from collections.abc import AsyncIterator
from pathlib import Path
from secrets import randbits
from time import time
from uuid import UUID

import pytest_asyncio
from aiohttp import ClientSession
from msgspec.structs import replace
from uuid_utils.compat import uuid7

from api.service import Caller, founded, served
from counterfoil.core.principal import SYSTEM, Owner
from counterfoil.core.secret import Peppers, mint
from counterfoil.core.subjects.account import CreateAccount
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.user_commands import CreateUser
from counterfoil.door import Door
from counterfoil.settings import Settings
from counterfoil_api.application import make_app

DAYS_BEHIND = (0, 3, 0, -3, 3, 0, -3)


def made_by_a_process(*, days_behind: int) -> UUID:
    """An id made by a process whose clock is this many days behind."""
    milliseconds = int(time() * 1000) - days_behind * 86_400_000
    return UUID(int=milliseconds << 80 | 7 << 76 | randbits(12) << 64 | 2 << 62 | randbits(62))


@pytest_asyncio.fixture
async def chief(api_settings: Settings, tmp_path: Path) -> AsyncIterator[Caller]:
    """The administrator of a separate account for the test."""
    reported = await founded(api_settings, f"ordered-{uuid7().hex[-12:]}", tmp_path)
    async with served(make_app(api_settings)) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {reported['admin_token']}")


async def pages(caller: Caller, path: str, **query: object) -> list[str]:
    """The ids of the whole list, two a page."""
    found: list[str] = []
    more: dict[str, object] = {}
    while True:
        page = (await caller.get(path, limit=2, **query, **more)).json
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            return found
        more = {"cursor": page["next_cursor"]}


async def test_tokens_users_and_accounts_are_listed_in_order_of_creation(chief: Caller, api_settings: Settings) -> None:
    me = (await chief.get("/v1/tokens/self")).json
    account, peppers = UUID(me["account"]), Peppers(api_settings.peppers)
    by = replace(SYSTEM, account=account)
    tokens, users, accounts = [me["id"]], [me["owner"]["id"]], [str(account)]
    async with Door(api_settings.database_url) as door:
        for turn, days in enumerate(DAYS_BEHIND, start=2):
            ids = [made_by_a_process(days_behind=days) for _ in range(3)]
            owner, secret = Owner("service", "billing"), peppers.minted(mint("service"))
            await door.execute(
                Create(account=account, id=ids[0], by=by, number=turn, owner=owner, name="n", secret=secret)
            )
            email = f"{ids[1].hex}@ordered.example.org"
            await door.execute(
                CreateUser(account=account, id=ids[1], by=by, number=turn, email=email, role="member", password_hash="")
            )
            opened = CreateAccount(account=ids[2], id=ids[2], by=SYSTEM, name="opened", parent=account)
            await door.execute(opened)
            for each, made in zip((tokens, users, accounts), ids, strict=True):
                each.append(str(made))
    assert await pages(chief, "/v1/tokens") == tokens
    assert await pages(chief, "/v1/tokens", sort="-created") == tokens[::-1]
    assert await pages(chief, "/v1/users") == users
    assert await pages(chief, "/v1/accounts") == accounts
