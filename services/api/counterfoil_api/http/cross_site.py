"""Changes that a page of another site asks for with the credentials that a browser keeps.

A browser that was prompted for a user and a password sends both along with every later request to this service,
whichever site's page makes it. Such a request changes nothing. Other programs state no site.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from counterfoil_api.http.errors import CrossSite

_OWN: Final = frozenset({"same-origin", "none"})
"""Fetch Metadata: a page of this service, or an address that somebody typed."""


def refuse_cross_site(request: web.Request) -> None:
    """Refuse a request with Basic credentials that a browser makes for another site; raises CrossSite."""
    if request.headers.get("Authorization", "")[:6].lower() == "basic " and is_cross_site(request.headers):
        raise CrossSite


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Say whether a browser says so; where TLS is missing it sends the page's origin alone (RFC 6454)."""
    if (site := headers.get("Sec-Fetch-Site")) is not None:
        return site not in _OWN
    origin = headers.get("Origin")
    return origin is not None and _host(origin) != headers.get("Host", "").lower()


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # a bracket that is never closed
        return None
