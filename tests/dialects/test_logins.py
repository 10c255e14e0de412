"""Logins to vendors' APIs: a session has the rights of its user."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.service import Caller
from dialects.accounts import Account

LOGIN = "/canvus/api/v1/users/login"


@asynccontextmanager
async def ruled(native: Caller, **policy: object) -> AsyncIterator[None]:
    """Give the account another policy while the block runs."""
    before = (await native.get("/v1/account")).json["policy"]
    assert (await native.patch("/v1/account", {"policy": policy})).status == 200
    try:
        yield
    finally:
        await native.patch("/v1/account", {"policy": before})


@pytest.fixture
async def closed(native: Caller) -> AsyncIterator[None]:
    """A closed catalogue without descriptions."""
    async with ruled(native, catalogue_closed=True):
        yield


@pytest.mark.usefixtures("closed")
async def test_a_closed_catalogue_refuses_no_login(native: Caller, here: Account) -> None:
    refused = await native.post("/v1/tokens", {"name": "strange", "scopes": ["virtuozzo.*"]})
    assert refused.problem == "beyond-policy"
    login = await native.post(LOGIN, {"email": here.member_email, "password": here.member_password})
    assert login.status == 200, login.body
    session = await native.with_token(login.json["token"]).get("/v1/tokens/self")
    assert {"virtuozzo.*", "losant.application.*"} <= set(session.json["scopes"])


async def test_a_session_lives_no_longer_than_the_policy_allows_tokens(native: Caller, here: Account) -> None:
    given = {"email": here.member_email, "password": here.member_password}
    async with ruled(native, max_lifetime="2h"):
        login = await native.post(LOGIN, given)
        assert login.status == 200, login.body
        session = (await native.with_token(login.json["token"]).get("/v1/tokens/self")).json
    assert session["lifetime"] == "2h"


async def test_tokens_without_an_expiry_take_the_policys_default(native: Caller, here: Account) -> None:
    path = f"/canvus/api/v1/users/{here.member_user_number}/access-tokens"
    member = Caller(native.session, "", {"Private-Token": here.member_token})
    async with ruled(native, max_lifetime="90d"):
        assert (await member.post(path, {"description": "for ever"})).status == 403
    async with ruled(native, max_lifetime="90d", default_lifetime="30d"):
        made = await member.post(path, {"description": "a month"})
        assert made.status == 200, made.body
        itself = (await native.with_token(made.json["plain_token"]).get("/v1/tokens/self")).json
    assert itself["lifetime"] == "30d"
