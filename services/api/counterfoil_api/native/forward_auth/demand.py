"""What a proxy demands of credentials: the account of the token, its scopes, and the audience of a bearer.

The demand is a part of the address in the proxy's settings; its clients cannot change it. There are two forms, because
some proxies append the path of the client's request to that address:

    /v1/forward?account=ID&scope=invoices.read&audience=https://app.example      used as it is: nginx, Traefik
    /v1/forward/account/ID/scope/invoices.read/audience/https%3A%2F%2Fapp.example/-     with an appended path: Envoy

A client chooses what follows the `-`. It is removed before anything is read. In the second form, a value that consists
of `-` alone is written as `%2D`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote
from uuid import UUID

from counterfoil.core.builtin_scopes import stray
from counterfoil.core.credentials import is_id
from counterfoil.core.refusals import Refusal
from counterfoil.core.scopes import well_formed
from counterfoil_api.http.errors import ProxyMisconfigured
from counterfoil_api.operations.form_fields import fields_of

PATH = "/v1/forward"

_NAMES = ("account", "scope", "audience")
_MOST_SCOPES = 20
_AUDIENCE = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Demand:
    """The conditions for a token or bearer to pass; without an audience, a bearer must be for this service."""

    account: UUID
    scopes: tuple[str, ...]
    audience: str | None


def demand_of(target: str) -> Demand:
    """Read the demand from the target of a proxy's request, or raise ProxyMisconfigured."""
    path, _, query = target.partition("?")
    if path == PATH:
        return _from_query(query)
    # The first `-` as it was sent: nothing decoded, normalised or appended can come before it.
    segments, dash, _ = f"{path}/".partition("/-/")
    if not dash or not segments.startswith(f"{PATH}/"):
        raise ProxyMisconfigured(
            "Write what is required as ?account=ID&scope=invoices.read, or as path segments that end with /-."
        )
    return _from_path(segments.removeprefix(f"{PATH}/"))


@lru_cache(maxsize=256)
def _from_query(query: str) -> Demand:
    try:
        return _demand(fields_of(query, where="query") if query else {})
    except Refusal as refusal:
        raise ProxyMisconfigured(refusal.detail) from None


@lru_cache(maxsize=256)
def _from_path(path: str) -> Demand:
    segments = path.split("/")
    pairs = [(name, unquote(value)) for name, value in zip(segments[::2], segments[1::2], strict=False)]
    fields = dict(pairs)
    if len(segments) % 2 or len(fields) != len(pairs):
        raise ProxyMisconfigured(
            "Path segments before the /- are pairs such as account/ID/scope/invoices.read, each name once."
        )
    return _demand(fields)


def _demand(fields: Mapping[str, str]) -> Demand:
    account, scopes, audience = (fields.get(name) for name in _NAMES)
    if not fields.keys() <= set(_NAMES):
        raise ProxyMisconfigured("The URL may name account, scope and audience, and nothing else.")
    # The proxy has no credentials of its own: without an account, tokens of every account would pass.
    if account is None or not is_id(account):
        raise ProxyMisconfigured("Name the account whose tokens may pass: account=ID.")
    if scopes is None or not all(map(well_formed, wanted := scopes.split(" "))) or len(wanted) > _MOST_SCOPES:
        raise ProxyMisconfigured("Name the scopes that are needed, with a space between them: scope=invoices.read.")
    if wrong := next(filter(None, map(stray, wanted)), None):
        raise ProxyMisconfigured(wrong)
    if audience is not None and not _AUDIENCE.fullmatch(audience):
        raise ProxyMisconfigured("An audience is visible ASCII, such as https://api.example.org.")
    return Demand(UUID(account), tuple(dict.fromkeys(wanted)), audience)
