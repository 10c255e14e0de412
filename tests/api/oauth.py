"""OAuth clients and requests."""

from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from api.service import Answer, Caller, basic

TOKEN = "/v1/oauth/token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ISSUER = "https://tokens.example.org"


def as_client(caller: Caller, issued: Any) -> Caller:
    """The holder of an issued token as an OAuth client."""
    return Caller(caller.session, basic(issued["token"]["id"], issued["secret"]))


def anybody(caller: Caller) -> Caller:
    """A caller without credentials."""
    return Caller(caller.session, "")


async def exchanged(caller: Caller, subject: str, **fields: str) -> Answer:
    """Exchange a token without client authentication."""
    requested = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TOKEN, **fields}
    return await anybody(caller).form(TOKEN, **requested)


async def bearer(caller: Caller, subject: str, **fields: str) -> str:
    answer = await exchanged(caller, subject, **fields)
    assert answer.status == 200, answer.body
    return str(answer.json["access_token"])


async def claims(caller: Caller, text: str) -> dict[str, Any]:
    """The claims of a bearer, verified with the published keys."""
    keys = KeySet.import_key_set((await caller.get("/.well-known/jwks.json")).json)
    return jwt.decode(text, keys, algorithms=["ES256"]).claims


def error(answer: Answer) -> tuple[int, str]:
    """The status and the error of an answer in the form of RFC 6749 5.2."""
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert set(answer.json) == {"error", "error_description"}
    assert ("WWW-Authenticate" in answer.headers) is (
        answer.status == 401 or answer.json["error"] == "insufficient_scope"
    )
    return answer.status, answer.json["error"]
