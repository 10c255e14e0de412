"""Vendors' clients state no networks and no limits: a token created by a bounded token gets the same bounds."""

from typing import Any

import pytest
from aiohttp import ClientSession

from api.service import Caller, basic
from dialects.accounts import Account
from dialects.dialect_clients import SPEAKERS, Canvus, Cloudflare, Losant, Scalingo, Speaker

LOOPBACK = ["127.0.0.0/8"]


async def bounded(native: Caller, here: Account) -> str:
    """The secret of a token that acts for the administrator, bounded by networks and a rate limit."""
    owner = {"type": "user", "id": str(here.admin_user_id)}
    return str(
        (await native.issue(owner=owner, scopes=["all"], networks=LOOPBACK, rate_limit="600/1m", max_uses=90))["secret"]
    )


async def asking(kind: type[Speaker], session: ClientSession, here: Account, secret: str) -> Speaker:
    """A client of a dialect with this token."""
    if kind is Scalingo:
        exchanged = await Caller(session, basic("", secret)).post("/scalingo/v1/tokens/exchange")
        return Scalingo(Caller(session, f"Bearer {exchanged.json['token']}"), here)
    if kind is Canvus:
        return Canvus(Caller(session, "", {"Private-Token": secret}), here)
    speaker = await kind.of(session, here)
    if kind in (Losant, Cloudflare):
        speaker.caller = speaker.caller.with_token(secret)
    else:
        speaker.session = secret  # type: ignore[attr-defined] # Virtuozzo's
    return speaker


async def bounds_of(native: Caller, secret: str) -> Any:
    itself = (await native.with_token(secret).get("/v1/tokens/self")).json
    return itself["networks"], itself["rate_limit"], itself["max_uses"]


@pytest.mark.parametrize("kind", SPEAKERS, ids=lambda each: each.name)
async def test_a_token_created_by_a_bounded_token_is_bounded_alike(
    kind: type[Speaker], web_session: ClientSession, here: Account, native: Caller
) -> None:
    secret = await bounded(native, here)
    made = await (await asking(kind, web_session, here, secret)).create(f"bounded by {kind.name}")
    assert await bounds_of(native, made) == (LOOPBACK, "600/1m", 90)
    unbounded = await (await kind.of(web_session, here)).create(f"unbounded by {kind.name}")
    assert await bounds_of(native, unbounded) == ([], None, None)


async def test_a_login_by_a_bounded_token_is_bounded_alike(native: Caller, here: Account) -> None:
    login = await native.post("/canvus/api/v1/users/login", {"token": await bounded(native, here)})
    assert login.status == 200, login.body
    assert await bounds_of(native, login.json["token"]) == (LOOPBACK, "600/1m", 90)


@pytest.mark.parametrize("kind", SPEAKERS, ids=lambda each: each.name)
async def test_no_dialect_creates_more_tokens_than_the_quota_of_the_owner_allows(
    kind: type[Speaker], web_session: ClientSession, here: Account, native: Caller
) -> None:
    speaker = await kind.of(web_session, here)
    made = (await native.with_token(await speaker.create(f"first by {kind.name}")).get("/v1/tokens/self")).json
    path = f"/v1/owners/{made['owner']['type']}/{made['owner']['id']}/quota"
    live = (await native.put(path, {"max_tokens": 1_000})).json["tokens"]
    assert (await native.put(path, {"max_tokens": live})).status == 200
    with pytest.raises(AssertionError):
        await speaker.create(f"one too many by {kind.name}")
    assert (await native.get(path)).json["tokens"] == live
    assert (await native.delete(path)).status == 200
    await speaker.create(f"second by {kind.name}")
