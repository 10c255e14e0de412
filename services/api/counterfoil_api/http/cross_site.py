"""Refuses changes that a page of another site requests with the credentials that a browser stores.

A browser that has prompted for a user and a password sends both with every later request to this service, also if a
page of another site makes the request. Such a request is refused. Programs other than browsers send no site.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from counterfoil_api.http.errors import CrossSite

_OWN: Final = frozenset({"same-origin", "none"})
"""Fetch Metadata: a page of this service, or an address that the user typed."""


def refuse_cross_site(request: web.Request) -> None:
    """Refuse a request with Basic credentials that a browser makes for another site; raises CrossSite."""
    if request.headers.get("Authorization", "")[:6].lower() == "basic " and is_cross_site(request.headers):
        raise CrossSite


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Return whether a browser states another site; without TLS it sends only the page's origin (RFC 6454)."""
    if (site := headers.get("Sec-Fetch-Site")) is not None:
        return site not in _OWN
    origin = headers.get("Origin")
    return origin is not None and _host(origin) != headers.get("Host", "").lower()


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # a bracket that is not closed
        return None
