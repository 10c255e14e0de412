"""Back in, on the server, when everybody is locked out."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import uuid_utils.compat as uuids
from aiohttp import ClientSession

from api.service import Caller, basic, served
from cli.shell import Shell
from counterfoil import founding
from counterfoil.door import Door
from counterfoil.founding import EmailTaken, found
from counterfoil.principal import SYSTEM
from counterfoil.settings import Settings
from counterfoil.subjects.user_commands import CreateUser, DisableUser, EnrolTotp, UpdateUser
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database

EMAIL = "admin@counterfoil.example"


@pytest.fixture
async def founded(server_side: Shell) -> dict[str, str]:
    words = ("account", "create", "first", "--admin-email", EMAIL, "--credentials", "c.json")
    assert (await server_side(*words)).code == 0
    said: dict[str, str] = json.loads((server_side.directory / "c.json").read_text())
    return said


async def test_whoever_is_locked_out_in_every_way_is_let_in_again(
    server_side: Shell, settings: Settings, database: Database, founded: dict[str, str]
) -> None:
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        boss = Caller(session, basic(EMAIL, founded["admin_password"]))
        shut = {"policy": {"networks": ["192.0.2.0/24"]}, "shut_me_out": True}
        assert (await boss.patch("/v1/account", shut)).status == 200
        await lock_out(database, founded)
        assert (await boss.get("/v1/users/self")).status in (401, 403)
        said = await server_side("account", "recover", "--email", EMAIL.upper())
        assert said.code == 0, said.err
        assert "not shown again" in said.err
        back = Caller(session, basic(EMAIL, said.out.strip()))
        assert (await back.get("/v1/users/self")).problem == "network-forbidden"
        said = await server_side("account", "recover", "--email", EMAIL, "--any-network")
        back = Caller(session, basic(EMAIL, said.out.strip()))
        me = (await back.get("/v1/users/self")).json
        assert (me["role"], me["standing"], me["totp"]) == ("administrator", "active", False)
        events = (await back.get("/v1/users/self/events")).json["items"]
        by_system = [event["type"] for event in events if event["by"]["kind"] == "system"]
        assert by_system[-5:-1] == ["password_changed", "totp_removed", "updated", "enabled"]
        assert (await back.get("/v1/account")).json["policy"]["networks"] == []
        assert (await boss.get("/v1/users/self")).problem == "credentials-refused"
    assert (await server_side("audit", "replay")).code == 0


async def lock_out(database: Database, founded: dict[str, str]) -> None:
    """Leave nothing of the administrator's power, as only a mishap in the database could."""
    account, user = UUID(founded["account"]), UUID(founded["admin_user_id"])
    about: dict[str, Any] = {"account": account, "id": user, "by": SYSTEM}
    await add_administrator(database, account)
    async with Door(database.app_url) as door:
        codes = tuple(bytes([n]) * 32 for n in range(10))
        await door.execute(EnrolTotp(**about, sealed_seed=b"lost", last_step=1, recovery_digests=codes, pepper_id=1))
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


async def test_nobody_is_let_in_who_is_not_there(server_side: Shell, founded: dict[str, str]) -> None:
    said = await server_side("account", "recover", "--email", "nobody@counterfoil.example")
    assert (said.code, said.out) == (1, "")
    assert "No user has this e-mail address" in said.err
    assert founded["admin_password"] not in said.err


async def test_of_two_foundings_with_one_address_at_once_one_is_told_that_it_is_taken(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minted, both = founding._minted, asyncio.Barrier(2)

    async def minted_together(*said: Any) -> Any:
        charter = await minted(*said)
        await both.wait()  # both have looked, and found the address free
        return charter

    monkeypatch.setattr(founding, "_minted", minted_together)
    files = [tmp_path / name / "c.json" for name in ("one", "other")]
    for file in files:
        file.parent.mkdir()
    answers = await asyncio.gather(
        *(found(settings, name=file.parent.name, email=EMAIL, file=file) for file in files), return_exceptions=True
    )
    assert sorted(map(repr, answers)) == sorted([repr(True), repr(EmailTaken(EmailTaken.__doc__))])
    assert [file.exists() for file in files] == [answer is True for answer in answers]
    assert not [file for file in files if file.with_name("c.json.new").exists()]
    connection = await asyncpg.connect(database.owner_url)
    assert await connection.fetchval("select count(*) from subject where kind = 'user'") == 1
    await connection.close()
