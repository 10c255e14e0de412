"""Public documents: the keys that verify bearers, and the addresses of OAuth's endpoints (RFC 8414)."""

from typing import Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from counterfoil.core.refusals import Overloaded
from counterfoil.settings import Settings
from counterfoil.uses.bearers import PublicJwk
from counterfoil.uses.verify import Verifying
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.native.oauth.token_requests import CLIENT, EXCHANGE
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.mounting import Mount

api = Api("bearers", OURS)

_METADATA: Final = "/.well-known/oauth-authorization-server"


class Jwks(msgspec.Struct, frozen=True):
    """A key set in the form of RFC 7517."""

    keys: list[PublicJwk]


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of an authorization server (RFC 8414), without scopes, which differ by account."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    introspection_endpoint: str
    revocation_endpoint: str
    service_documentation: str
    grant_types_supported: tuple[str, ...] = (CLIENT, EXCHANGE)
    response_types_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic", "client_secret_post", "none")
    introspection_endpoint_auth_methods_supported: tuple[str, ...] = (
        *("client_secret_basic", "client_secret_post"),
        "Bearer",  # what RFC 8414 allows for this endpoint alone
    )
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic", "client_secret_post")


@api.get("/.well-known/jwks.json", cache="public, max-age=300", refusals=(Overloaded,))
async def get_jwks(verifying: Verifying) -> Jwks:
    """Read the keys that verify our bearers.

    While the database does not answer, they are those of up to five minutes ago.
    """
    return Jwks(await verifying.keys.published())


@api.get(_METADATA, cache="public, max-age=300")
async def get_metadata(settings: Settings) -> Metadata:
    """Read the addresses of OAuth's endpoints (RFC 8414)."""
    issuer = settings.public_url
    return Metadata(
        issuer=issuer,
        token_endpoint=f"{issuer}/v1/oauth/token",
        jwks_uri=f"{issuer}/.well-known/jwks.json",
        introspection_endpoint=f"{issuer}/v1/introspect",
        revocation_endpoint=f"{issuer}/v1/oauth/revoke",
        service_documentation=f"{issuer}/openapi.json",
    )


def mount(app: web.Application, mounting: Mount, public_url: str) -> None:
    """Serve the path of RFC 8414 3 for an issuer with a path, which stands between host and path."""
    path = urlsplit(public_url).path
    if path:
        (route,) = (each for each in api.routes if each.path == _METADATA)
        answer = mounting.answer(route)
        for method in ("GET", "HEAD"):
            app.router.add_route(method, _METADATA + path, answer)
