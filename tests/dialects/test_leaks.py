"""Leaked secrets of a dialect are revoked by a report, whatever their format."""

from aiohttp import ClientSession

from api.service import Caller
from dialects.accounts import Account
from dialects.dialect_clients import SPEAKERS


async def test_a_report_revokes_the_tokens_of_every_dialect(
    web_session: ClientSession, here: Account, native: Caller
) -> None:
    leaked = {each.name: await (await each.of(web_session, here)).create(f"leaked {each.name}") for each in SPEAKERS}
    reported = await Caller(web_session, "").post("/v1/leak-reports", list(leaked.values()))
    assert (reported.status, reported.json) == (202, {"received": len(SPEAKERS)})
    for name, secret in leaked.items():
        assert (await native.with_token(secret).get("/v1/tokens/self")).problem == "token-revoked", name
