"""Authenticated callers are shown the enabled dialects and the settings of their clients."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession
from msgspec.structs import replace
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.service import Caller, founded, served, settings_for
from counterfoil.settings import DIALECT_NAMES
from counterfoil_api.application import make_app
from counterfoil_api.dialects import listing
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.register import DIALECTS
from counterfoil_api.operations.openapi import document
from counterfoil_dev.postgres import Database
from dialects.invented_dialect import PRETEND

URL = "https://tokens.example.org/sub"


@pytest.fixture
async def member(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    """A member at a service with one dialect enabled and another disabled."""
    monkeypatch.setattr(listing, "DIALECTS", (PRETEND, *(each for each in DIALECTS if each.name == "losant")))
    settings = replace(settings_for(database.app_url, PUBLIC_URL=URL), dialects=("pretend",))
    account = await founded(settings, "listing", tmp_path, examples=True)
    async with served(make_app(settings, dialects=(PRETEND,))) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {account['member_token']}")


def test_every_dialect_can_be_named_in_the_settings() -> None:
    assert sorted(each.name for each in DIALECTS) == sorted(DIALECT_NAMES)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_every_dialect_has_a_valid_openapi_document(dialect: Dialect) -> None:
    described = msgspec.json.decode(msgspec.json.encode(document(dialect.api.routes, version="1", url=URL)))
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []
    operations = [each["operationId"] for methods in described["paths"].values() for each in methods.values()]
    assert len(set(operations)) == len(operations) == len(dialect.api.routes)


async def test_callers_are_shown_the_enabled_dialects_and_their_addresses(member: Caller) -> None:
    answer = await member.get("/v1/dialects")
    found = {each.pop("name"): each for each in answer.json["items"]}
    assert found["pretend"] == {
        "title": "Pretend", "on": True, "base_url": f"{URL}/pretend/api", "openapi": f"{URL}/pretend/openapi.json",
    }  # fmt: skip
    assert [each["on"] for name, each in found.items() if name != "pretend"] == [False] * (len(found) - 1)
    assert (await member.get("/pretend/openapi.json")).status == 200


async def test_strangers_are_told_nothing(member: Caller) -> None:
    assert (await Caller(member.session, "").get("/v1/dialects")).problem == "credentials-missing"
