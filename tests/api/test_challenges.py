"""RFC 6750 3 and RFC 9110 11.6.1: how whoever is not believed is told to ask."""

import pytest

from api.service import Caller, basic
from counterfoil.secret import checksum

_BODY = "cfl_user_" + "0" * 43
NOBODYS = _BODY + checksum(_BODY)
"""A secret by its form, which nobody was ever issued."""

REALM = 'realm="counterfoil"'
BEARER = f"Bearer {REALM}"
BASIC = f'Basic {REALM}, charset="UTF-8"'


def refused(description: str) -> str:
    return f'{BEARER}, error="invalid_token", error_description="{description}"'


@pytest.mark.parametrize(
    ("credentials", "challenge"),
    [
        ("", BEARER),
        ("Digest x", BEARER),
        ("cfl_service_x", BEARER),
        ("Bearer x", refused("Credentials refused")),
        ("bearer é", refused("Credentials refused")),
        (f"Bearer {NOBODYS}", refused("Credentials refused")),
        ("Bearer a.b.c", refused("Credentials refused")),
        ("Basic !!!", BASIC),
        ("basic " + basic("", "x")[6:], BASIC),
        (basic("nobody@example.org", "a password"), BASIC),
        (basic("019ca8c1-7b40-7000-8000-3f2a9c51d7e4", NOBODYS), BASIC),
    ],
)
async def test_a_challenge_is_for_the_scheme_that_was_used(admin: Caller, credentials: str, challenge: str) -> None:
    answer = await Caller(admin.session, credentials).get("/v1/tokens")
    assert (answer.status, answer.headers.getall("WWW-Authenticate")) == (401, [challenge])


async def test_the_dead_are_told_why(admin: Caller) -> None:
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


async def test_a_request_that_asks_in_two_ways_is_no_request(admin: Caller) -> None:
    headers = [("Authorization", admin.credentials), ("Authorization", admin.credentials)]
    async with admin.session.get("/v1/tokens", headers=headers) as answer:
        assert answer.status == 400
        assert answer.headers["WWW-Authenticate"].startswith(f'{BEARER}, error="invalid_request"')
        assert (await answer.json(content_type=None))["type"].endswith(":credentials-repeated")
    in_query = await admin.get("/v1/tokens", access_token="x")
    assert in_query.status == 400
    assert 'error="invalid_request"' in in_query.headers["WWW-Authenticate"]


async def test_whoever_is_believed_is_challenged_for_nothing(admin: Caller) -> None:
    for path in ("/v1/tokens", "/v1/tokens/999999999", "/v1/nowhere", "/v1/tokens?limit=0"):
        assert "WWW-Authenticate" not in (await admin.get(path)).headers
