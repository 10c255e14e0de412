"""No caller creates by way of a dialect a token that outlives the caller; only sessions stand for their users."""

from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from api.service import Caller, basic
from counterfoil.settings import Settings
from dialects.accounts import Account, opened


def canvus(caller: Caller, secret: str) -> Caller:
    return Caller(caller.session, "", {"Private-Token": secret})


async def of_member(native: Caller, here: Account, **fields: Any) -> str:
    """The secret of a token with the member's rights over their own tokens."""
    owner = {"type": "user", "id": str(here.member_user_id)}
    return str((await native.issue(owner=owner, scopes=["own.*"], **fields))["secret"])


async def test_a_session_begun_with_a_password_creates_tokens_without_an_expiry(native: Caller, here: Account) -> None:
    path = f"/canvus/api/v1/users/{here.member_user_number}/access-tokens"
    given = {"email": here.member_email, "password": here.member_password}
    login = await native.post("/canvus/api/v1/users/login", given)
    made = await canvus(native, login.json["token"]).post(path, {"description": "lasting"})
    assert made.status == 200
    itself = await native.with_token(made.json["plain_token"]).get("/v1/tokens/self")
    assert itself.json["expires_at"] is None


async def test_an_expiring_token_creates_nothing_lasting_by_logging_in(native: Caller, here: Account) -> None:
    path = f"/canvus/api/v1/users/{here.member_user_number}/access-tokens"
    short = await of_member(native, here, lifetime="1h")
    login = await native.post("/canvus/api/v1/users/login", {"token": short})
    assert login.status == 200, login.body
    session = login.json["token"]
    again = (await native.post("/canvus/api/v1/users/login", {"token": session})).json["token"]
    for secret in (short, session, again):
        assert (await canvus(native, secret).post(path, {"description": "lasting"})).status == 403
        ends = (await native.with_token(secret).get("/v1/tokens/self")).json["expires_at"]
        assert ends <= (await native.with_token(short).get("/v1/tokens/self")).json["expires_at"]


async def test_a_bearer_creates_nothing_lasting_in_any_dialect(native: Caller, here: Account) -> None:
    lasting = await of_member(native, here)
    bearer = (await native.with_token(lasting).post("/v1/exchange", {"lifetime": "5m"})).json["access_token"]
    path = f"/canvus/api/v1/users/{here.member_user_number}/access-tokens"
    assert (await canvus(native, bearer).post(path, {"description": "lasting"})).status in (401, 403)
    application = f"/losant/applications/{here.application_id}/tokens"
    admin = (await native.post("/v1/exchange", {"lifetime": "5m"})).json["access_token"]
    assert (await native.with_token(admin).post(application, {"name": "lasting"})).status == 403


async def test_a_scalingo_bearer_creates_tokens_that_last_as_long_as_its_token(native: Caller, here: Account) -> None:
    for lifetime, status in (({}, 201), ({"lifetime": "1h"}, 403)):
        secret = await of_member(native, here, **lifetime)
        exchanged = await Caller(native.session, basic("", secret)).post("/scalingo/v1/tokens/exchange")
        caller = native.with_token(exchanged.json["token"])
        assert (await caller.post("/scalingo/v1/tokens", {"name": "lasting"})).status == status


async def test_a_bearer_with_an_actor_creates_nothing_lasting(native: Caller, here: Account) -> None:
    subject, actor = await of_member(native, here), (await native.issue(scopes=["own.*"]))["secret"]
    audience = "https://tokens.example.org/scalingo"
    kind = "urn:ietf:params:oauth:token-type:access_token"
    acting = await Caller(native.session, "").form(
        "/v1/oauth/token", grant_type="urn:ietf:params:oauth:grant-type:token-exchange", subject_token=subject,
        subject_token_type=kind, actor_token=actor, actor_token_type=kind, audience=audience,
    )  # fmt: skip
    assert acting.status == 200, acting.body
    caller = native.with_token(acting.json["access_token"])
    assert (await caller.post("/scalingo/v1/tokens", {"name": "lasting"})).status == 403


async def test_the_first_tokens_create_tokens_without_an_expiry_only_in_dialects(
    web_session: ClientSession, dialect_settings: Settings, tmp_path: Path
) -> None:
    here = await opened(dialect_settings, "first", tmp_path, lifetime=None)
    native = Caller(web_session, f"Bearer {here.admin_token}")
    itself = (await native.get("/v1/tokens/self")).json
    assert (itself["dialect"], itself["lifetime"]) == ("founding", "365d")
    assert (await native.post("/v1/tokens", {"name": "lasting"})).problem == "beyond-caller"
    made = await native.post(f"/losant/applications/{here.application_id}/tokens", {"name": "lasting"})
    assert "expirationDate" not in made.json
    tokens = f"/cloudflare/client/v4/accounts/{here.account}/access/service_tokens"
    assert (await native.post(tokens, {"name": "a year"})).status == 201
    path = f"/canvus/api/v1/users/{here.member_user_number}/access-tokens"
    for secret in (here.admin_token, here.member_token):
        assert (await canvus(native, secret).post(path, {"description": "lasting"})).status == 200
    exchanged = await Caller(native.session, basic("", here.member_token)).post("/scalingo/v1/tokens/exchange")
    made = await native.with_token(exchanged.json["token"]).post("/scalingo/v1/tokens", {"name": "lasting"})
    assert made.status == 201


async def test_sessions_cause_no_alerts(native: Caller, here: Account) -> None:
    given = {"email": here.admin_email, "password": here.admin_password, "tokenTTL": 60}
    login = await native.post("/losant/auth/user", given)
    session = (await native.with_token(login.json["token"]).get("/v1/tokens/self")).json
    soon = (await native.get("/v1/alerts", within="1h")).json
    assert session["id"] not in [each["token"]["id"] for each in soon["items"]]
