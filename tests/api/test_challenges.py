"""Challenges (RFC 6750 3, RFC 9110 11.6.1): how a refused caller learns how to authenticate."""

import pytest

from api.proxy import Asked
from api.service import Caller, basic
from counterfoil.core.secret import checksum

_BODY = "cfl_user_" + "0" * 43
NOBODYS = _BODY + checksum(_BODY)
"""A secret by its form, which nobody was ever issued."""

REALM = 'realm="counterfoil"'
BEARER = f"Bearer {REALM}"
BASIC = f'Basic {REALM}, charset="UTF-8"'


def refused(description: str) -> str:
    return f'{BEARER}, error="invalid_token", error_description="{description}"'


@pytest.mark.parametrize(
    ("credentials", "challenges"),
    [
        ("", [BEARER, BASIC]),
        ("Digest x", [BEARER, BASIC]),
        ("cfl_service_x", [BEARER, BASIC]),
        ("Bearer x", [refused("Credentials refused"), BASIC]),
        ("bearer é", [refused("Credentials refused"), BASIC]),
        (f"Bearer {NOBODYS}", [refused("Credentials refused"), BASIC]),
        ("Bearer a.b.c", [refused("Credentials refused"), BASIC]),
        ("Basic !!!", [BASIC, BEARER]),
        ("basic " + basic("", "x")[6:], [BASIC, BEARER]),
        (basic("nobody@example.org", "a password"), [BASIC, BEARER]),
        (basic("019ca8c1-7b40-7000-8000-3f2a9c51d7e4", NOBODYS), [BASIC, BEARER]),
    ],
)
async def test_each_scheme_has_its_own_challenge_and_the_used_scheme_comes_first(
    admin: Caller, proxy: Asked, credentials: str, challenges: list[str]
) -> None:
    answer = await Caller(admin.session, credentials).get("/v1/tokens")
    assert (answer.status, answer.headers.getall("WWW-Authenticate")) == (401, challenges)
    passed = await proxy.about({"Authorization": credentials} if credentials else {})
    assert (passed.status, passed.headers.getall("WWW-Authenticate")) == (401, challenges)


async def test_oauth_endpoints_offer_basic_first_and_report_the_error_of_a_bearer(admin: Caller) -> None:
    for path in ("/v1/introspect", "/v1/oauth/revoke"):
        for credentials, challenges in (
            ("", [BASIC, BEARER]),
            ("Bearer x", [refused("Credentials refused"), BASIC]),
            (basic("019ca8c1-7b40-7000-8000-3f2a9c51d7e4", NOBODYS), [BASIC, BEARER]),
        ):
            answer = await Caller(admin.session, credentials).form(path, token="x")
            assert (answer.status, answer.headers.getall("WWW-Authenticate")) == (401, challenges), path


async def test_an_ended_credential_is_refused_with_the_reason(admin: Caller) -> None:
    issued = await admin.issue()
    await admin.post(f"/v1/tokens/{issued['token']['id']}/revoke", {"reason": "x"})
    answer = await admin.with_token(issued["secret"]).get("/v1/tokens/self")
    assert answer.headers["WWW-Authenticate"] == refused("The token was revoked")


async def test_a_missing_scope_is_named(admin: Caller) -> None:
    answer = await (await admin.holder("a.b")).get("/v1/tokens")
    assert answer.status == 403
    assert answer.headers["WWW-Authenticate"] == (
        f'{BEARER}, error="insufficient_scope", error_description="Missing scope", scope="tokens.read"'
    )


async def test_a_request_with_two_credentials_is_refused(admin: Caller) -> None:
    headers = [("Authorization", admin.credentials), ("Authorization", admin.credentials)]
    async with admin.session.get("/v1/tokens", headers=headers) as answer:
        assert answer.status == 400
        assert answer.headers["WWW-Authenticate"].startswith(f'{BEARER}, error="invalid_request"')
        assert (await answer.json(content_type=None))["type"].endswith(":credentials-repeated")
    in_query = await admin.get("/v1/tokens", access_token="x")
    assert in_query.status == 400
    assert 'error="invalid_request"' in in_query.headers["WWW-Authenticate"]


async def test_an_authenticated_caller_gets_no_challenge(admin: Caller) -> None:
    for path in ("/v1/tokens", "/v1/tokens/999999999", "/v1/nowhere", "/v1/tokens?limit=0"):
        assert "WWW-Authenticate" not in (await admin.get(path)).headers


@pytest.mark.parametrize(
    "stated",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://[evil"},
    ],
)
async def test_a_login_kept_by_a_browser_changes_nothing_for_another_sites_page(
    admin: Caller, ours: dict[str, str], stated: dict[str, str]
) -> None:
    issued = await admin.issue()
    kept = Caller(admin.session, basic(ours["admin_login"], ours["admin_password"]), stated)
    path = f"/v1/tokens/{issued['token']['id']}"
    # Requests that a form on any page can send: without a body, or with one that is not JSON.
    refused = await kept.ask("POST", f"{path}/rotate", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (refused.status, refused.problem) == (403, "cross-site")
    spelt = await kept.form("/v1/oauth/revoke", token=issued["secret"])
    assert (spelt.status, spelt.json["error"]) == (403, "access_denied")
    assert (await kept.get(path)).json["generation"] == 1
    assert (await kept.form("/v1/introspect", token=issued["secret"])).json["active"] is True, "it changes nothing"
    own = {"Sec-Fetch-Site": "same-origin"} if "Sec-Fetch-Site" in stated else {"Origin": str(admin.session._base_url)}
    for credentials, site in ((kept.credentials, own), (kept.credentials, {}), (admin.credentials, stated)):
        changed = await Caller(admin.session, credentials, site).patch(path, {"name": "renamed"})
        assert changed.status == 200, changed.body
