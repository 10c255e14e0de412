"""Logging in to vendors' APIs: a session may do what its user may."""

from collections.abc import AsyncIterator

import pytest

from api.service import Caller
from dialects.accounts import Account

LOGIN = "/canvus/api/v1/users/login"


@pytest.fixture
async def closed(native: Caller) -> AsyncIterator[None]:
    """A catalogue that describes nothing, and is closed."""
    policy = (await native.get("/v1/account")).json["policy"]
    assert (await native.patch("/v1/account", {"policy": {"catalogue_closed": True}})).status == 200
    yield
    await native.patch("/v1/account", {"policy": policy})


@pytest.mark.usefixtures("closed")
async def test_a_closed_catalogue_keeps_nobody_from_logging_in(native: Caller, here: Account) -> None:
    refused = await native.post("/v1/tokens", {"name": "strange", "scopes": ["virtuozzo.*"]})
    assert refused.problem == "beyond-policy"
    login = await native.post(LOGIN, {"email": here.member_email, "password": here.member_password})
    assert login.status == 200, login.body
    session = await native.with_token(login.json["token"]).get("/v1/tokens/self")
    assert {"virtuozzo.*", "losant.application.*"} <= set(session.json["scopes"])
