"""What a reply says about the end of the caller's own token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


class TokenExpiry(msgspec.Struct, frozen=True, kw_only=True):
    """When the presented token ends by itself.

    `number` is that of the token, as soon as the ledger warns of the end; before, it is None. `is_replaced` if a
    rotation has replaced the presented secret, which ends with its grace.
    """

    at: datetime
    number: int | None = None
    is_replaced: bool = False

    @property
    def is_near(self) -> bool:
        """Whether the ledger warns of the end: the first notice of the expiry is due, or the secret was replaced."""
        return self.number is not None


def expiry_in(headers: Mapping[str, str]) -> TokenExpiry | None:
    """Return what the headers of a reply say; None if they say nothing, or nothing that can be read."""
    text, number = headers.get("Token-Expires-At", ""), headers.get("Token-Number", "")
    if not _MOMENT.fullmatch(text):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:  # such as the 31st of February
        return None
    warned = "Token-Sunset" in headers and _NUMBER.fullmatch(number)
    return TokenExpiry(
        at=at, number=int(number) if warned else None, is_replaced=headers.get("Token-Replaced") == "true"
    )
