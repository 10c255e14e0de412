"""What makes a request the repeat of an earlier one."""

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from counterfoil.idempotency import Attempt
from counterfoil_api.http.errors import InvalidRequest

_KEY: Final = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')


@dataclass(slots=True, repr=False)
class Retry:
    """An Idempotency-Key, the whole of what was asked under it, and whether it was answered before.

    Where the client states no key but counts its attempts, `attempt` is which one this is.
    """

    key: str
    request: tuple[bytes, ...]
    replayed: bool = False
    attempt: Attempt | None = None


def by_key(request: web.Request, raw: bytes) -> Retry | None:
    """What the Idempotency-Key header says; None without one. Raises InvalidRequest."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    match = _KEY.fullmatch(header)
    if match is None:
        raise InvalidRequest(
            "An Idempotency-Key is 1 to 255 visible ASCII characters, such as a random UUID.",
            where="header", field="Idempotency-Key",
        )  # fmt: skip
    return Retry(match[1], asked(request, raw))


def asked(request: web.Request, raw: bytes) -> tuple[bytes, ...]:
    """The whole of what is asked: the method, the path and the body."""
    return (request.method.encode(), request.rel_url.raw_path.encode(), raw)
