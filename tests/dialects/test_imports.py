"""Secrets in a vendor's format: ours are not imported again, and the vendor's can be imported."""

import pytest
from aiohttp import ClientSession

from api.service import Caller
from counterfoil.core.secret import SecretShape
from counterfoil_api.dialects.register import shapes
from dialects.accounts import Account
from dialects.dialect_clients import SPEAKERS, Speaker

SHAPES = shapes()


def imported(secret: str) -> dict[str, object]:
    return {"tokens": [{"name": "brought along", "secret": secret, "owner": {"type": "service", "id": "import"}}]}


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda each: each.name)
async def test_a_secret_issued_here_is_not_imported_again(
    speaker: type[Speaker], web_session: ClientSession, here: Account, native: Caller, native_there: Caller
) -> None:
    secret = await (await speaker.of(web_session, here)).create(f"stays one {speaker.name}")
    for somebody in (native, native_there):
        (item,) = (await somebody.post("/v1/tokens/import", imported(secret))).json["results"]
        assert item["problem"]["type"].rpartition(":")[2] in ("secret-taken", "bad-secret")
    assert (await native.with_token(secret).get("/v1/tokens/self")).json["name"] == f"stays one {speaker.name}"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda each: f"{each.prefix}{each.length}")
async def test_a_secret_of_a_vendor_works_here_after_its_import(shape: SecretShape, native: Caller) -> None:
    secret = shape.mint().plain
    assert (await native.with_token(secret).get("/v1/tokens/self")).status == 401
    (item,) = (await native.post("/v1/tokens/import", imported(secret))).json["results"]
    assert item["status"] == "imported"
    assert (await native.with_token(secret).get("/v1/tokens/self")).json["id"] == item["token"]
