"""A login names its account or means the first one; an e-mail address is one user of one account."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from pyotp import TOTP
from uuid_utils.compat import uuid7

from api.service import Caller, basic, founded, served, settings_for
from api.user_fixtures import PASSWORD
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database

EMAIL = "admin@one.example.org"
ELSEWHERE = "another mule accumulator nail"


@pytest.fixture
async def first(database: Database, tmp_path: Path) -> dict[str, str]:
    """The credentials of the first account."""
    return await founded(settings_for(database.app_url), "one", tmp_path)


@pytest.fixture
async def service(database: Database, first: dict[str, str]) -> AsyncIterator[ClientSession]:
    assert first
    async with served(make_app(settings_for(database.app_url))) as url, ClientSession(url) as opened:
        yield opened


@pytest.fixture
async def second(service: ClientSession, first: dict[str, str]) -> str:
    """The id of another account, whose administrator has the same address and another password."""
    head = {"email": EMAIL.upper(), "password": ELSEWHERE}
    admin = Caller(service, f"Bearer {first['admin_token']}")
    opened = await admin.post("/v1/accounts", {"name": "Two", "administrator": head})
    assert opened.status == 201
    return str(opened.json["id"])


async def account_of(session: ClientSession, login: str, password: str) -> str | None:
    """The account of this login, if it is accepted."""
    answer = await Caller(session, basic(login, password)).get("/v1/account")
    if answer.status == 200:
        return str(answer.json["id"])
    assert answer.problem == "credentials-refused"
    return None


async def test_an_address_alone_is_looked_up_only_in_the_first_account(
    service: ClientSession, first: dict[str, str], second: str
) -> None:
    assert second
    assert await account_of(service, EMAIL, first["admin_password"]) == first["account"]
    assert await account_of(service, EMAIL, ELSEWHERE) is None


async def test_an_account_before_the_address_selects_this_account(
    service: ClientSession, first: dict[str, str], second: str
) -> None:
    passwords = {first["account"]: first["admin_password"], second: ELSEWHERE}
    for account, password in passwords.items():
        assert await account_of(service, f"{account}/{EMAIL}", password) == account
        assert await account_of(service, f"{account.upper()}/{EMAIL.title()}", password) == account
        for login in (f"{uuid7()}/{EMAIL}", f"{account}/nobody@x.org", f"{account}/", f"{account}/{account}/{EMAIL}"):
            assert await account_of(service, login, password) is None
    assert await account_of(service, f"{first['account']}/{EMAIL}", ELSEWHERE) is None
    assert await account_of(service, f"{second}/{EMAIL}", first["admin_password"]) is None


async def test_a_new_user_is_shown_their_login(service: ClientSession, first: dict[str, str], second: str) -> None:
    body = {"email": "grace@x.org", "role": "operator", "password": PASSWORD}
    logins = {}
    for account, caller in {
        first["account"]: Caller(service, f"Bearer {first['admin_token']}"),
        second: Caller(service, basic(f"{second}/{EMAIL}", ELSEWHERE)),
    }.items():
        user = (await caller.post("/v1/users", body)).json["user"]
        logins[account] = user["login"]
        assert [each["login"] for each in (await caller.get("/v1/users", email="grace*")).json["items"]] == [
            user["login"]
        ]
        moved = (await caller.patch(f"/v1/users/{user['id']}", {"email": "hopper@x.org"})).json["login"]
        assert moved == user["login"].replace("grace", "hopper")
        assert await account_of(service, moved, PASSWORD) == account
        removed = await caller.post(f"/v1/users/{user['id']}/remove", {"reason": "left"})
        assert removed.json["login"] is None
        assert await account_of(service, moved, PASSWORD) is None
    assert logins == {first["account"]: "grace@x.org", second: f"{second}/grace@x.org"}


async def test_a_later_account_never_becomes_the_first(
    service: ClientSession, first: dict[str, str], second: str, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "later").mkdir()
    later = await founded(settings_for(database.app_url), "one", tmp_path / "later")
    assert (first["admin_login"], later["admin_login"]) == (EMAIL, f"{later['account']}/{EMAIL}")
    async with served(make_app(settings_for(database.app_url))) as url, ClientSession(url) as other:
        for session in (service, other):
            assert await account_of(session, EMAIL, first["admin_password"]) == first["account"]
            assert await account_of(session, EMAIL, later["admin_password"]) is None
            assert await account_of(session, later["admin_login"], later["admin_password"]) == later["account"]
            assert await account_of(session, f"{second}/{EMAIL}", ELSEWHERE) == second


async def test_an_operator_names_the_account_of_a_user(database: Database, first: dict[str, str], second: str) -> None:
    named = settings_for(database.app_url, DEFAULT_ACCOUNT=second)
    async with served(make_app(named)) as url, ClientSession(url) as session:
        assert (await Caller(session, "").get("/readyz")).status == 200
        assert await account_of(session, EMAIL, ELSEWHERE) == second
        assert await account_of(session, EMAIL, first["admin_password"]) is None
        assert await account_of(session, f"{first['account']}/{EMAIL}", first["admin_password"]) == first["account"]


async def test_an_invalid_account_selects_none(database: Database, first: dict[str, str]) -> None:
    named = settings_for(database.app_url, DEFAULT_ACCOUNT=first["admin_user_id"])
    async with served(make_app(named)) as url, ClientSession(url) as session:
        assert (await Caller(session, "").get("/readyz")).problem == "misconfigured"
        refused = await Caller(session, basic(EMAIL, first["admin_password"])).get("/v1/account")
        assert (refused.status, "DEFAULT_ACCOUNT" in refused.json["detail"]) == (503, True)
        assert await account_of(session, f"{first['account']}/{EMAIL}", first["admin_password"]) == first["account"]


async def test_nobody_enrols_in_codes_if_the_recovery_codes_cannot_be_shown(
    database: Database, first: dict[str, str]
) -> None:
    named = settings_for(database.app_url, DEFAULT_ACCOUNT=first["admin_user_id"])
    async with served(make_app(named)) as url, ClientSession(url) as session:
        ada = Caller(session, basic(f"{first['account']}/{EMAIL}", first["admin_password"]))
        seed = (await ada.post("/v1/users/self/totp")).json["secret"]
        answer = await ada.post("/v1/users/self/totp/confirm", {"code": TOTP(seed).now()})
        assert answer.problem == "misconfigured"
        assert await account_of(session, f"{first['account']}/{EMAIL}", first["admin_password"]) == first["account"]


async def test_without_an_account_nobody_logs_in(database: Database) -> None:
    async with served(make_app(settings_for(database.app_url))) as url, ClientSession(url) as session:
        assert await account_of(session, EMAIL, PASSWORD) is None
        assert (await Caller(session, "").get("/readyz")).status == 200
