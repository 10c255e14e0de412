"""The dialect in the guide for developers is complete: it works as printed."""

import re
import sys
from collections.abc import AsyncIterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from api.service import Caller, founded, served, settings_for
from counterfoil_api.application import make_app
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_dev.postgres import OWNER, Postgres

GUIDE = Path(__file__).parents[2] / "services" / "api" / "counterfoil_api" / "dialects" / "README.md"


def shown() -> str:
    section = GUIDE.read_text().partition("\n## Adding a dialect\n")[2]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert isinstance(code, str)
    return code


@pytest.fixture
def dialect(tmp_path: Path) -> Dialect:
    file = tmp_path / "acme.py"
    file.write_text(shown())
    spec = spec_from_file_location("acme", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["acme"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["acme"]
    assert isinstance(module.DIALECT, Dialect)
    return module.DIALECT


@pytest.fixture
async def keys(dialect: Dialect, postgres_server: Postgres, template: str, tmp_path: Path) -> AsyncIterator[Caller]:
    postgres_server.run(f"create database guide owner {OWNER} template {template};")
    settings = replace(settings_for(postgres_server.database("guide").app_url), dialects=("acme",))
    account = await founded(settings, "guide", tmp_path)
    async with served(make_app(settings, dialects=(dialect,))) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {account['admin_token']}")
    postgres_server.run("drop database if exists guide with (force);")


async def test_the_dialect_of_the_guide_works_as_printed(keys: Caller) -> None:
    made = await keys.post("/acme/v2/keys", {"label": "laptop"})
    assert made.status == 201
    key = made.json
    assert re.fullmatch(r"acme_[0-9a-f]{64}", key["value"])
    assert {"id": key["id"], "label": "laptop"} in (await keys.get("/acme/v2/keys", unknown="one")).json
    itself = keys.with_token(key["value"])
    assert (await itself.get("/v1/tokens/self")).json["dialect"] == "acme"
    assert (await itself.delete(f"/acme/v2/keys/{key['id']}")).status == 204
    assert (await itself.get("/v1/tokens/self")).problem == "token-revoked"
    for refused, status in (
        (await keys.delete(f"/acme/v2/keys/{key['id']}"), 404),
        (await keys.delete("/acme/v2/keys/Ä"), 404),
        (await keys.get("/acme/v2/nothing"), 404),
        (await keys.put("/acme/v2/keys", {}), 405),
        (await keys.post("/acme/v2/keys", {"label": 1}), 422),
    ):
        assert (refused.status, set(refused.json)) == (status, {"message"})
    assert "/acme/v2/keys" in (await keys.get("/acme/openapi.json")).json["paths"]
