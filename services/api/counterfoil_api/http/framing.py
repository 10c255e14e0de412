"""The framing of a request's body: by Content-Length, or in chunks, and in no other transfer coding."""

import re
from typing import Final

from aiohttp import HttpVersion11
from aiohttp.http_parser import RawRequestMessage

from counterfoil.core.refusals import Refusal
from counterfoil_api.http.errors import MalformedRequest, UnsupportedMediaType

_NAME: Final = "Transfer-Encoding"
_CODING: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""An RFC 9110 5.6.2 token, without parameters: `chunked`, the only supported coding, has none."""


def refusal_of_framing(message: RawRequestMessage) -> Refusal | None:
    """Return the refusal of a request's transfer codings, None where it has none, or `chunked` alone.

    A proxy that decodes another coding, or uses a Content-Length beside it, would see another body than this service.
    """
    if _NAME not in message.headers:
        return None
    codings = [coding.strip(" \t").lower() for line in message.headers.getall(_NAME) for coding in line.split(",")]
    if message.version < HttpVersion11 or "Content-Length" in message.headers or codings.count("chunked") != 1:
        return MalformedRequest(
            "Transfer-Encoding must be `chunked`, given once, in HTTP/1.1 and without a Content-Length."
        )
    if codings[-1] != "chunked" or not all(map(_CODING.fullmatch, codings)):  # RFC 9112 6.3: the length is unknown
        return MalformedRequest("Transfer-Encoding must end with `chunked`, without parameters.")
    if len(codings) > 1:
        return UnsupportedMediaType("The only supported transfer coding is `chunked`; send the body without another.")
    return None
