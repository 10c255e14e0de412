"""Leaked secrets that a dialect made are ended by a report, whatever their form."""

from aiohttp import ClientSession

from api.service import Caller
from dialects.accounts import Account
from dialects.speakers import SPEAKERS


async def test_a_report_ends_what_every_dialect_made(web_session: ClientSession, here: Account, native: Caller) -> None:
    leaked = {each.name: await (await each.of(web_session, here)).create(f"leaked {each.name}") for each in SPEAKERS}
    reported = await Caller(web_session, "").post("/v1/leak-reports", list(leaked.values()))
    assert (reported.status, reported.json) == (202, {"received": len(SPEAKERS)})
    for name, secret in leaked.items():
        assert (await native.with_token(secret).get("/v1/tokens/self")).problem == "token-revoked", name
