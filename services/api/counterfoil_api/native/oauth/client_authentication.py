"""Authentication of OAuth clients (RFC 6749 2.3.1): in the Authorization header, or in two fields of the form."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any, Final
from urllib.parse import unquote_plus

import msgspec
from aiohttp import web
from msgspec import Meta

from counterfoil.core.credentials import SecretGiven, client_secret, is_id, is_visible
from counterfoil.core.refusals import Refusal
from counterfoil_api.auth.conventions import SCHEMES
from counterfoil_api.auth.credentials import Credentials, PresentedCredentials, basic, presented_by
from counterfoil_api.http.addresses import client_of
from counterfoil_api.http.errors import CredentialsRepeated
from counterfoil_api.operations.conventions import Conventions
from counterfoil_api.operations.readers import form_and_query

_STRAY_PERCENT: Final = re.compile(r"%(?![0-9a-fA-F]{2})")


_SCHEMES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "token": SCHEMES["token"],
        "client": {
            "type": "http",
            "scheme": "basic",
            "description": "OAuth's client_secret_basic: a token's id and secret, each form-encoded (RFC 6749 2.3.1). "
            "What was not encoded is understood as well. Or what Basic authentication holds elsewhere in this "
            "API, which is not decoded: an e-mail address and a password, or an empty user and a token's secret.",
        },
    }
)


class ClientFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The client's own fields in a form. Unknown fields are ignored (RFC 6749 3.1)."""

    client_id: Annotated[str, Meta(description="A token's id; the Authorization header may hold it instead.")] = ""
    client_secret: Annotated[
        str, Meta(description="Its secret; or both as Basic authentication, but not in both places.")
    ] = ""


def client_credentials(request: web.Request, raw: bytes) -> PresentedCredentials:
    """Read a client's credentials from the header or from the form, but not from both (RFC 6749 2.3)."""
    fields: dict[str, list[str]] = {}
    with suppress(Refusal):  # a form that cannot be read is refused later, after the caller is authenticated
        fields = form_and_query(request, raw)
    client, secret = (fields.get(name, [""])[0] for name in ("client_id", "client_secret"))
    if secret:  # without a value it counts as not sent (RFC 6749 3.2)
        if "Authorization" in request.headers:
            raise CredentialsRepeated
        return PresentedCredentials(client_secret(client, secret), address=client_of(request))
    presented = presented_by(request, form_encoded)
    given = presented.credentials
    named = given.client if isinstance(given, SecretGiven) else None
    if client and named is not None and client.lower() != str(named):
        raise CredentialsRepeated
    return presented


def form_encoded(user: str, password: str) -> Credentials:
    """Return what Basic authentication holds; a token's id and its secret may be form-encoded (RFC 6749 2.3.1).

    A secret with two readings is looked up as the decoded text first, and then as the text that was sent. Both look-ups
    accept only the named token, so that no reading opens another token.
    """
    client = _decoded(user)
    if client is None or not is_id(client):
        return basic(user, password)
    decoded = _decoded(password)
    if decoded is None or decoded == password or not is_visible(decoded):
        return client_secret(client, password)
    return replace(client_secret(client, decoded), raw=password if is_visible(password) else None)


def _decoded(text: str) -> str | None:
    """Return the decoded text (RFC 6749, Appendix B); None if the text is not form-encoded."""
    if _STRAY_PERCENT.search(text):
        return None
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        return None


CLIENTS: Final = Conventions(credentials=client_credentials, schemes=_SCHEMES)
"""The conventions of OAuth's own endpoints."""
