"""Forward authentication in the OpenAPI document: it reads no body and serves every method."""

from collections.abc import Mapping
from types import MappingProxyType

from counterfoil.core.refusals import (
    CredentialsRefused,
    NetworkForbidden,
    Refusal,
    ScopeMissing,
    TokenNetworkForbidden,
    UsesExhausted,
)
from counterfoil_api.auth.proof import PairNames
from counterfoil_api.http.errors import (
    CredentialsMissing,
    HeadersTooLarge,
    MalformedRequest,
    NotVerified,
    ProxyMisconfigured,
)
from counterfoil_api.native.forward_auth.demand import PATH
from counterfoil_api.operations.replies import TOKEN_HEADERS
from counterfoil_api.operations.responses import DEAD_CREDENTIALS, refused
from counterfoil_api.operations.schemas import Json, Schemas

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_REFUSALS: tuple[type[Refusal], ...] = (
    *(MalformedRequest, HeadersTooLarge),  # for bytes that are no request
    *(CredentialsMissing, CredentialsRefused, UsesExhausted),
    *DEAD_CREDENTIALS,
    *(ScopeMissing, NetworkForbidden, TokenNetworkForbidden, ProxyMisconfigured, NotVerified),
)
_SUMMARY = "Ask whether a request may pass"
_SAYS = """For proxies: nginx `auth_request`, Traefik `forwardAuth`, Envoy `ext_authz`. The credentials are those of the
request that is asked about: `Authorization`, {pairs}.
The reply is 200 with headers that identify the token, 401 or 403. No body is read."""
_DEMANDED: Mapping[str, Json] = MappingProxyType(
    {
        "account": {"type": "string", "format": "uuid", "description": "The account whose tokens may pass."},
        "scope": {"type": "string", "description": "The scopes that are needed, all of them, with a space between."},
        "audience": {
            "type": "string",
            "pattern": "^[!-~]{1,255}$",
            "description": "For whom a bearer has to be; without it, for this service.",
        },
        "original": {"type": "string", "description": "The path of the request that is asked about. It is not read."},
    }
)
_IDENTITY: Mapping[str, str] = MappingProxyType(
    {
        "X-Counterfoil-Account": "The account.",
        "X-Counterfoil-Token": "The token's id.",
        "X-Counterfoil-Owner": "On whose behalf it acts.",
        "X-Counterfoil-Owner-Type": "`user`, `application` or `service`.",
        "X-Counterfoil-Actor": "The token that acts for the owner in this bearer (RFC 8693); empty if none does.",
        "X-Counterfoil-Scopes": "All that it may do, with a space between; if that is very long, what was asked for.",
        "X-Counterfoil-Expires": "When it ends by itself, as RFC 3339 has it; empty is never.",
    }
)


def paths(schemas: Schemas, pairs: tuple[PairNames, ...]) -> Json:
    """Return the paths, in the order of a proxy's URL; `pairs` are the names of further credential headers."""
    demanded = f"{PATH}/account/{{account}}/scope/{{scope}}"
    return {
        PATH: _item("query", ("account", "scope", "audience"), schemas, pairs),
        f"{demanded}/-/{{original}}": _item("path", ("account", "scope", "original"), schemas, pairs),
        f"{demanded}/audience/{{audience}}/-/{{original}}": _item("path", tuple(_DEMANDED), schemas, pairs),
    }


def _item(place: str, names: tuple[str, ...], schemas: Schemas, pairs: tuple[PairNames, ...]) -> Json:
    says = _SAYS.format(pairs=", ".join(f"or `{name}` with `{secret}`" for name, secret in pairs))
    return {
        method: {
            "operationId": "_".join(("forward", method, place, *names[2:])),
            "tags": ["bearers"],
            "summary": _SUMMARY,
            "description": says,
            "parameters": [_parameter(name, place) for name in names],
            "security": [{"token": []}, {"password": []}],
            "responses": {"200": {"description": "OK", "headers": _headers()}} | refused(_REFUSALS, schemas),
        }
        for method in _METHODS
    }


def _parameter(name: str, place: str) -> Json:
    schema = {**_DEMANDED[name]}
    described = {"name": name, "in": place, "description": schema.pop("description"), "schema": schema}
    return described if name == "audience" and place == "query" else {**described, "required": True}


def _headers() -> Json:
    documented = {name: {"description": says, "schema": {"type": "string"}} for name, says in _IDENTITY.items()}
    shared = (*TOKEN_HEADERS, "X-Request-Id")
    return documented | {name: {"$ref": f"#/components/headers/{name}"} for name in shared}
