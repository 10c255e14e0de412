"""One file makes a dialect: its prefix, envelope, errors and credentials apply to every answer under it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from api.service import Answer, Caller, founded, served, settings_for
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import OWNER, Postgres
from dialects.invented_dialect import PRETEND


@pytest.fixture
async def service(postgres_server: Postgres, template: str, tmp_path: Path) -> AsyncIterator[tuple[Caller, str]]:
    """A client of the dialect, and the administrator's secret."""
    postgres_server.run(f"create database seam owner {OWNER} template {template};")
    settings = settings_for(postgres_server.database("seam").app_url, RATE_LIMIT="30/1h")
    settings = replace(settings, dialects=("pretend",))
    account = await founded(settings, "seam", tmp_path)
    async with served(make_app(settings, dialects=(PRETEND,))) as url, ClientSession(url) as session:
        yield Caller(session, "", {"X-Key": account["admin_token"]}), account["admin_token"]
    postgres_server.run("drop database if exists seam with (force);")


def refused(answer: Answer, status: int, why: str) -> None:
    assert (answer.status, answer.json) == (status, {"fine": False, "why": why})
    assert answer.headers["Content-Type"] == "application/json"


async def test_a_token_of_the_dialect_goes_through_its_whole_life_and_works_natively(
    service: tuple[Caller, str],
) -> None:
    keys, _ = service
    made = await keys.post("/pretend/api/keys", {"title": "one"})
    assert (made.status, made.json["fine"], "ETag" in made.headers) == (201, True, False)
    key = made.json["result"]
    assert key["key"].startswith("pretend-")
    assert (await keys.with_token(key["key"]).get("/v1/tokens/self")).json["dialect"] == "pretend"
    listed = await keys.get("/pretend/api/keys", unknown="parameter")
    assert {"key_id": key["key_id"], "title": "one"} in listed.json["result"]
    gone = await keys.delete(f"/pretend/api/keys/{key['key_id']}")
    assert (gone.status, gone.body) == (204, b"")
    assert (await keys.with_token(key["key"]).get("/v1/tokens/self")).problem == "token-revoked"


async def test_every_refusal_under_the_prefix_is_in_the_dialects_form(service: tuple[Caller, str]) -> None:
    keys, _ = service
    strangers = Caller(keys.session, "")
    refused(await strangers.get("/pretend/api/keys"), 401, "credentials-missing")
    refused(await keys.get("/pretend/api/nothing"), 404, "no-such-path")
    refused(await keys.get("/pretend"), 404, "no-such-path")
    wrong = await keys.put("/pretend/api/keys", {})
    refused(wrong, 405, "method-not-allowed")
    assert wrong.headers["Allow"] == "GET, HEAD, POST"
    refused(await keys.post("/pretend/api/keys", {}), 400, "invalid-request")
    refused(await keys.ask("POST", "/pretend/api/keys", b"{"), 400, "malformed-request")
    refused(await keys.ask("POST", "/pretend/api/keys", b'"' + b"x" * 2**17 + b'"'), 413, "body-too-large")
    packed = await keys.ask("POST", "/pretend/api/keys", b"{}", headers={"Content-Encoding": "gzip"})
    refused(packed, 415, "unsupported-media-type")
    refused(await keys.get("/pretend/api/fail"), 500, "internal-error")
    for _ in range(60):
        last = await keys.get("/pretend/api/keys")
    refused(last, 429, "rate-limited")
    assert int(last.headers["Retry-After"]) > 0
    assert (await keys.get("/v1/nothing")).problem == "no-such-path"


async def test_parameters_are_read_from_the_query_and_from_a_form(service: tuple[Caller, str]) -> None:
    keys, secret = service
    assert (await keys.get("/pretend/api/say", said="a b", secret=secret)).json["result"] == f"a b {len(secret)}"
    posted = await keys.form("/pretend/api/say?said=query&flag", said="form")
    assert posted.json["result"] == "form 0"
    refused(await keys.post("/pretend/api/say", {"said": "json"}), 415, "unsupported-media-type")


async def test_the_dialect_has_its_own_openapi_document_apart_from_the_native_one(service: tuple[Caller, str]) -> None:
    keys, _ = service
    described = (await keys.get("/pretend/openapi.json")).json
    assert described["info"]["title"] == "Pretend by Counterfoil"
    assert set(described["paths"]) == {f"/pretend/api/{each}" for each in ("keys", "keys/{key_id}", "say", "fail")}
    created = described["paths"]["/pretend/api/keys"]["post"]
    assert created["security"] == [{"key": []}]
    shape = created["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert set(described["components"]["schemas"][shape]["properties"]) == {"fine", "result"}
    assert "application/problem+json" not in str(created["responses"])
    assert not any("pretend" in path for path in (await keys.get("/openapi.json")).json["paths"])


async def test_a_disabled_dialect_is_not_there(postgres_server: Postgres, template: str) -> None:
    postgres_server.run(f"create database seam_off owner {OWNER} template {template};")
    settings = settings_for(postgres_server.database("seam_off").app_url, DIALECTS="none")
    async with served(make_app(settings, dialects=(PRETEND,))) as url, ClientSession(url) as session:
        assert (await Caller(session, "").get("/pretend/api/keys")).problem == "no-such-path"
        assert (await Caller(session, "").get("/pretend/openapi.json")).problem == "no-such-path"
    postgres_server.run("drop database if exists seam_off with (force);")
