"""Reads of `/v1/events` are one event for each reader and hour, in every format and at every process."""

import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession

from api.service import Caller, founded, served, settings_for
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database, Postgres
from postgres.sealing import seal_all

NDJSON = {"Accept": "application/x-ndjson"}


async def auditor(admin: Caller) -> tuple[Caller, str]:
    issued = await admin.issue(scopes=["audit.read"], owner={"type": "service", "id": "auditing"})
    return admin.with_token(issued["secret"]), issued["token"]["id"]


async def reads_of(admin: Caller, reader: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await admin.get("/v1/reads", reader=reader, limit=200)).json["items"]
    return [each for each in found if each["log"]]


async def test_reading_the_log_by_position_is_one_event_an_hour_before_the_first_line(
    admin: Caller, api_settings: Settings
) -> None:
    asker, reader = await auditor(admin)
    head = await seal_all(api_settings.database_url)
    page = await asker.get("/v1/events", limit=2)
    (first,) = await reads_of(admin, reader)
    assert first["calls"] == {"log": 1}
    assert first["log"] == {"first": 1, "last": page.json["after"], "filters": {"none": 1}}
    assert first["rows"] == len(page.json["items"]) == 2
    for _ in range(3):
        assert (await asker.ask("GET", "/v1/events", headers=NDJSON)).status == 200
        assert (await asker.get("/v1/events", type="created", limit=5)).status == 200
    assert await reads_of(admin, reader) == [first]
    assert head > 0


async def test_all_processes_share_the_hour(admin: Caller, api_settings: Settings, api_url: str) -> None:
    asker, reader = await auditor(admin)
    await seal_all(api_settings.database_url)
    async with served(make_app(api_settings)) as other, ClientSession(other) as session:
        elsewhere = Caller(session, asker.credentials)
        assert other != api_url
        for each in (asker, elsewhere, asker, elsewhere):
            assert (await each.get("/v1/events", limit=2)).status == 200
        assert len(await reads_of(admin, reader)) == 1
    assert len(await reads_of(admin, reader)) == 1  # a stopping process writes no second event


async def test_a_polling_reader_finds_their_own_read_once(admin: Caller, api_settings: Settings) -> None:
    asker, reader = await auditor(admin)
    await seal_all(api_settings.database_url)
    place = (await asker.get("/v1/events", after="latest", limit=100)).json["after"]
    seen: list[dict[str, Any]] = []
    for _ in range(5):
        await seal_all(api_settings.database_url)
        page = (await asker.get("/v1/events", after=place, limit=100)).json
        seen += [json.loads(line["entry"]) for line in page["items"]]
        place = page["after"]
    mine = [entry for entry in seen if entry["type"] == "read" and entry["data"]["reader"]["id"] == reader]
    assert [entry["data"]["calls"] for entry in mine] == [{"log": 1}]
    assert "log" in mine[0]["data"]


async def test_a_refused_read_of_the_log_is_no_read(admin: Caller, api_settings: Settings) -> None:
    asker, reader = await auditor(admin)
    head = await seal_all(api_settings.database_url)
    for query in ({"after": head + 1_000_000}, {"kind": "nothing"}, {"accounts": "all"}):
        assert (await asker.get("/v1/events", **query)).status in {400, 403, 422}
    assert await reads_of(admin, reader) == []


@pytest.mark.parametrize("form", [{"Accept": "application/json"}, NDJSON])
async def test_the_log_is_not_shown_if_its_read_cannot_be_logged(
    admin: Caller, api_settings: Settings, postgres_server: Postgres, form: dict[str, str]
) -> None:
    asker, reader = await auditor(admin)
    await seal_all(api_settings.database_url)
    owner = await asyncpg.connect(postgres_server.database("api").owner_url)
    await owner.execute(
        """
        create function no_room() returns trigger language plpgsql as $$ begin raise exception 'no room'; end $$;
        create trigger full_disk before insert on event for each row execute function no_room()"""
    )
    try:
        refused = await asker.ask("GET", "/v1/events", headers=form)
    finally:
        await owner.execute("drop trigger full_disk on event; drop function no_room")
        await owner.close()
    assert refused.status == 500
    assert b"entry" not in refused.body
    assert await reads_of(admin, reader) == []
    assert (await asker.ask("GET", "/v1/events", headers=form)).status == 200
    assert len(await reads_of(admin, reader)) == 1


async def test_the_operator_sees_all_entries_and_the_private_parts_of_the_own_account_only(
    database: Database, tmp_path: Path
) -> None:
    plain = settings_for(database.app_url)
    (tmp_path / "theirs").mkdir()
    first, other = await founded(plain, "operator", tmp_path), await founded(plain, "theirs", tmp_path / "theirs")
    settings = settings_for(database.app_url, OPERATOR_ACCOUNT=first["account"])
    size = await seal_all(database.app_url)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        operator = Caller(session, f"Bearer {first['admin_token']}")
        answer = await operator.get("/v1/events", accounts="all")
        tenant = await Caller(session, f"Bearer {other['admin_token']}").get("/v1/events", accounts="all")
        unfit = await (await operator.holder("tokens.read")).get("/v1/events", accounts="all")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert [line["position"] for line in lines] == list(range(1, size + 1))
    shown: dict[str, set[bool]] = {}
    for line in lines:
        entry = json.loads(line["entry"])
        if entry["private"] is not None:
            shown.setdefault(entry["account"], set()).add(line["private"] is not None)
    assert shown == {first["account"]: {True}, other["account"]: {False}}
    assert b"admin@theirs.example.org" not in answer.body
    assert (tenant.problem, unfit.problem) == ("operator-only", "scope-missing")


async def test_reading_the_log_of_all_accounts_is_recorded_as_such(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database.app_url)
    first = await founded(settings, "operator", tmp_path)
    settings = settings_for(database.app_url, OPERATOR_ACCOUNT=first["account"])
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        operator = Caller(session, f"Bearer {first['admin_token']}")
        size = await seal_all(database.app_url)
        for _ in range(2):
            own = (await operator.get("/v1/events", limit=1_000)).json
            whole = (await operator.get("/v1/events", limit=1_000, accounts="all")).json
        found = (await operator.get("/v1/reads")).json["items"]
    assert [(each["calls"], each["log"]["last"]) for each in found if each["log"]] == [
        ({"whole_log": 1}, whole["head"]), ({"log": 1}, own["head"]),
    ]  # fmt: skip
    assert own["head"] < whole["head"] == size
