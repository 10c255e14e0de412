"""The headers of a reply that say when the caller's token ends, so that programs learn of it where they use it."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol

from counterfoil.core.subjects.token.credentials_expiry import Presented, expiry_of
from counterfoil.uses.verify import Found
from counterfoil_api.http import added_headers
from counterfoil_api.operations.replies import TOKEN_HEADERS

_EXPIRES_AT, _SUNSET, _NUMBER, _REPLACED = TOKEN_HEADERS


class Numbered(Presented, Protocol):
    """A token with its number."""

    @property
    def number(self) -> int: ...


def add_expiry_headers(found: Found) -> None:
    """Add the headers about accepted credentials to the reply.

    A bearer ends with its token, so the headers are about that token. If another token acts in it, there are none: the
    acting token may not read the other one.
    """
    if found.act is None:
        add_expiry_headers_of(found.seen, found.generation, found.seen.at)


def add_expiry_headers_of(token: Numbered, generation: int, at: datetime) -> None:
    """Add the headers about a secret or a bearer of this generation, unless a caller was authenticated before."""
    end = expiry_of(token, generation, at)
    if end is None:
        return
    # Rounded down, like the expiry of a bearer: never later than the truth.
    moment = end.at.astimezone(UTC).replace(microsecond=0)
    headers = {_EXPIRES_AT: f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    if end.is_near:
        headers |= {_SUNSET: format_datetime(moment, usegmt=True), _NUMBER: str(token.number)}
    if end.is_replaced:
        headers[_REPLACED] = "true"
    added_headers.add_once(headers)
