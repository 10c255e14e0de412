"""Account recovery on the server when every administrator is locked out."""

import json
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat as uuids
from aiohttp import ClientSession

from api.service import Caller, basic, served
from cli.shell import Shell
from counterfoil.core.principal import SYSTEM
from counterfoil.core.subjects.user_commands import CreateUser, DisableUser, EnrolTotp, UpdateUser
from counterfoil.door import Door
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database

EMAIL = "admin@counterfoil.example"


@pytest.fixture
async def founded(server_side: Shell) -> dict[str, str]:
    words = ("account", "create", "first", "--admin-email", EMAIL, "--credentials", "c.json")
    assert (await server_side(*words)).code == 0
    result: dict[str, str] = json.loads((server_side.directory / "c.json").read_text())
    return result


async def test_an_administrator_locked_out_in_every_way_is_restored(
    server_side: Shell, settings: Settings, database: Database, founded: dict[str, str]
) -> None:
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        boss = Caller(session, basic(EMAIL, founded["admin_password"]))
        shut = {"policy": {"networks": ["192.0.2.0/24"]}, "shut_me_out": True}
        assert (await boss.patch("/v1/account", shut)).status == 200
        await lock_out(database, founded)
        assert (await boss.get("/v1/users/self")).status in (401, 403)
        result = await server_side("account", "recover", "--email", EMAIL.upper())
        assert result.code == 0, result.err
        assert "not shown again" in result.err
        back = Caller(session, basic(EMAIL, result.out.strip()))
        assert (await back.get("/v1/users/self")).problem == "network-forbidden"
        result = await server_side("account", "recover", "--email", EMAIL, "--any-network")
        back = Caller(session, basic(EMAIL, result.out.strip()))
        me = (await back.get("/v1/users/self")).json
        assert (me["role"], me["status"], me["totp"]) == ("administrator", "active", False)
        events = (await back.get("/v1/users/self/events")).json["items"]
        by_system = [event["type"] for event in events if event["by"]["kind"] == "system"]
        assert by_system[-5:-1] == ["password_changed", "totp_removed", "updated", "enabled"]
        assert (await back.get("/v1/account")).json["policy"]["networks"] == []
        assert (await boss.get("/v1/users/self")).problem == "credentials-refused"
    assert (await server_side("audit", "replay")).code == 0


async def lock_out(database: Database, founded: dict[str, str]) -> None:
    """Remove every right of the administrator, as only a fault in the database could."""
    account, user = UUID(founded["account"]), UUID(founded["admin_user_id"])
    about: dict[str, Any] = {"account": account, "id": user, "by": SYSTEM}
    await add_administrator(database, account)
    async with Door(database.app_url) as door:
        codes = tuple(bytes([n]) * 32 for n in range(10))
        await door.execute(EnrolTotp(**about, encrypted_seed=b"lost", last_step=1, recovery_digests=codes, pepper_id=1))
        await door.execute(UpdateUser(**about, role="member"))
        await door.execute(DisableUser(**about, reason="a mistake"))


async def add_administrator(database: Database, account: UUID) -> None:
    async with Door(database.app_url) as door:
        await door.execute(
            CreateUser(
                account=account, id=uuids.uuid7(), by=SYSTEM, number=99, email="gone@counterfoil.example",
                role="administrator", password_hash="$argon2id$nobody",
            )
        )  # fmt: skip


async def test_a_missing_user_is_not_restored(server_side: Shell, founded: dict[str, str]) -> None:
    result = await server_side("account", "recover", "--email", "nobody@counterfoil.example")
    assert (result.code, result.out) == (1, "")
    assert "No user has this e-mail address" in result.err
    assert founded["admin_password"] not in result.err


async def test_an_account_must_be_named_if_several_have_the_address(
    server_side: Shell, settings: Settings, founded: dict[str, str]
) -> None:
    words = ("account", "create", "second", "--admin-email", EMAIL.upper(), "--credentials", "d.json")
    result = await server_side(*words)
    second = json.loads((server_side.directory / "d.json").read_text())
    assert f"logs in as {second['account']}/{EMAIL.upper()}." in result.err
    refused = await server_side("account", "recover", "--email", EMAIL)
    assert (refused.code, refused.out) == (1, "")
    assert all(f"--account {each['account']}" in refused.err for each in (founded, second))
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        for account, login in ((founded["account"], EMAIL), (second["account"], second["admin_login"])):
            result = await server_side("account", "recover", "--email", EMAIL, "--account", account)
            assert f"Log in as {login} " in result.err
            me = await Caller(session, basic(login, result.out.strip())).get("/v1/users/self")
            assert me.json["account"] == account
    nobody = await server_side("account", "recover", "--email", EMAIL, "--account", str(uuids.uuid7()))
    assert (nobody.code, nobody.out) == (1, "")
