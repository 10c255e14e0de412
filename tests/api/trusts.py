"""Tokens that trust an issuer of the tests, and exchanges of JWTs for their bearers."""

from dataclasses import dataclass
from typing import Any

from api.oauth import EXCHANGE, JWT, TOKEN, anybody
from api.oidc_issuer import AUDIENCE, OidcIssuer
from api.service import Answer, Caller

ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
CLAIMS: dict[str, object] = {"repository": ["acme/app"], "ref": ["refs/heads/main"]}


def trust_in(trusted: OidcIssuer, /, **changed: object) -> dict[str, object]:
    return {"issuer": trusted.url, "audience": AUDIENCE, "claims": CLAIMS, **changed}


@dataclass(frozen=True)
class Trusting:
    """The issuer of the tokens and the issuer of the JWTs that they trust."""

    admin: Caller
    issuer: OidcIssuer

    async def issue(self, by: Caller | None = None, /, *, trust: dict[str, object] | None = None, **fields: Any) -> Any:
        """A token with a trust, created by the administrator."""
        wanted = {"scopes": ["deploy.*"], **fields, "trust": trust_in(self.issuer, **(trust or {}))}
        return (await (by or self.admin).issue(**wanted))["token"]

    async def exchange(self, token: Any, jwt: str | None = None, **fields: str) -> Answer:
        """Exchange a JWT without client authentication."""
        requested = {
            "grant_type": EXCHANGE, "client_id": token if isinstance(token, str) else token["id"],
            "subject_token": self.issuer.jwt() if jwt is None else jwt, "subject_token_type": JWT, **fields,
        }  # fmt: skip
        return await anybody(self.admin).form(TOKEN, **requested)

    async def bearer(self, token: Any, jwt: str | None = None, **fields: str) -> Caller:
        """A caller with the bearer that a JWT was exchanged for."""
        answer = await self.exchange(token, jwt, **fields)
        assert answer.status == 200, answer.body
        return self.admin.with_token(answer.json["access_token"])

    async def refused(self, token: Any, jwt: str | None = None, **fields: str) -> str:
        """The refusal of a JWT."""
        answer = await self.exchange(token, jwt, **fields)
        assert (answer.status, answer.json["error"]) == (400, "invalid_request"), answer.body
        return str(answer.json["error_description"])
