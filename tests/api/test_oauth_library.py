"""A third-party OAuth client that uses only our metadata."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import KeySet

from api.oauth import ACCESS_TOKEN, EXCHANGE, ISSUER
from api.service import Caller


class Judge:
    """A client configured from the metadata; the issuer's name leads to the service under test."""

    def __init__(self, url: str, issued: Any, **more: Any) -> None:
        self._url = url
        self.metadata = self.get(f"{ISSUER}/.well-known/oauth-authorization-server")
        self.session = OAuth2Session(issued["token"]["id"], issued["secret"], **more)

    def here(self, address: str) -> str:
        return address.replace(ISSUER, self._url)

    def endpoint(self, name: str) -> str:
        return self.here(self.metadata[f"{name}_endpoint"])

    def get(self, address: str) -> Any:
        return requests.get(self.here(address), timeout=10).json()

    def fetched(self, **fields: Any) -> Any:
        return self.session.fetch_token(self.endpoint("token"), **fields)

    def introspected(self, text: str) -> Any:
        return self.session.introspect_token(self.endpoint("introspection"), token=text).json()

    def revoked(self, text: str) -> int:
        answer: requests.Response = self.session.revoke_token(self.endpoint("revocation"), token=text)  # type: ignore[no-untyped-call] # untyped there
        return answer.status_code


class Resource(JWTBearerTokenValidator):
    """A service that receives bearers."""

    def __init__(self, judge: Judge, audience: str) -> None:
        self.judge = judge
        super().__init__(issuer=ISSUER, resource_server=audience)

    def get_jwks(self) -> Any:
        return KeySet.import_key_set(self.judge.get(self.judge.metadata["jwks_uri"]))


async def judged(case: Callable[[], Any]) -> Any:
    """Run a case in a thread, since the library is not asynchronous."""
    return await asyncio.to_thread(case)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_client_credentials_give_a_bearer_that_rfc_9068_accepts(admin: Caller, api_url: str, method: str) -> None:
    issued = await admin.issue(scopes=["orders.read", "orders.write"])

    def case() -> tuple[Any, Any]:
        judge = Judge(api_url, issued, scope="orders.read", token_endpoint_auth_method=method)
        token = judge.fetched(grant_type="client_credentials", audience="orders")
        resource = Resource(judge, "orders")
        claims = resource.authenticate_token(token["access_token"])
        resource.validate_token(claims, ["orders.read"], None)
        return token, claims

    token, claims = await judged(case)
    assert (token["token_type"], token["scope"]) == ("Bearer", "orders.read")
    assert claims["client_id"] == issued["token"]["id"]


async def test_token_exchange_introspection_and_revocation_work(admin: Caller, api_url: str) -> None:
    actor = await admin.issue(scopes=["tokens.introspect", "tokens.revoke"], owner={"type": "service", "id": "gateway"})
    subject = await admin.issue(scopes=["mail.*"], owner={"type": "application", "id": "ada"})

    def case() -> tuple[Any, Any, int, Any]:
        judge = Judge(api_url, actor)
        token = judge.fetched(
            grant_type=EXCHANGE, subject_token=subject["secret"], subject_token_type=ACCESS_TOKEN,
            actor_token=actor["secret"], actor_token_type=ACCESS_TOKEN, scope="mail.send", audience="mail",
        )  # fmt: skip
        before = judge.introspected(token["access_token"])
        revoked = judge.revoked(subject["secret"])
        return token, before, revoked, judge.introspected(token["access_token"])

    token, before, revoked, after = await judged(case)
    assert token["issued_token_type"] == ACCESS_TOKEN
    assert (before["active"], before["scope"], before["aud"], before["sub"]) == (True, "mail.send", "mail", "ada")
    assert before["act"]["sub"] == "gateway"
    assert (revoked, after) == (200, {"active": False})


async def test_errors_are_understood_by_the_client(admin: Caller, api_url: str) -> None:
    issued, wrong = await admin.issue(scopes=["a.b"]), await admin.issue()

    def errors() -> list[str]:
        judge = Judge(api_url, issued)
        stranger = Judge(api_url, {"token": issued["token"], "secret": wrong["secret"]})
        found = []
        for client, fields in (
            (judge, {"grant_type": "client_credentials", "scope": "a.c"}),
            (judge, {"grant_type": "refresh_token", "refresh_token": "x"}),
            (judge, {"grant_type": EXCHANGE, "subject_token": "x", "subject_token_type": ACCESS_TOKEN}),
            (judge, {"grant_type": "client_credentials", "resource": "not a uri"}),
            (stranger, {"grant_type": "client_credentials"}),
        ):
            with pytest.raises(OAuthError) as refused:
                client.fetched(**fields)
            found.append(refused.value.error)
        return found

    assert await judged(errors) == [
        "invalid_scope", "unsupported_grant_type", "invalid_request", "invalid_target", "invalid_client",
    ]  # fmt: skip
