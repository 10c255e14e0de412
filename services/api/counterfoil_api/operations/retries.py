"""Idempotency keys: the marks by which a request is recognised as the repeat of an earlier one."""

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from counterfoil.idempotency import Attempt
from counterfoil_api.http.errors import InvalidRequest

_KEY: Final = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')


@dataclass(slots=True, repr=False)
class Retry:
    """An Idempotency-Key, the whole request under it, and whether an earlier answer was repeated.

    Where a client sends no key but counts its attempts, `attempt` is the number of this one.
    """

    key: str
    request: tuple[bytes, ...]
    replayed: bool = False
    attempt: Attempt | None = None


def by_key(request: web.Request, raw: bytes) -> Retry | None:
    """Read the Idempotency-Key header; None without one. Raises InvalidRequest."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    match = _KEY.fullmatch(header)
    if match is None:
        raise InvalidRequest(
            "An Idempotency-Key is 1 to 255 visible ASCII characters, such as a random UUID.",
            where="header", field="Idempotency-Key",
        )  # fmt: skip
    return Retry(match[1], whole_request(request, raw))


def whole_request(request: web.Request, raw: bytes) -> tuple[bytes, ...]:
    """Return the whole request: the method, the path and the body."""
    return (request.method.encode(), request.rel_url.raw_path.encode(), raw)
