"""When the credentials of a token end by themselves, and whether that is near."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from counterfoil.core.subjects.token.acceptance import Accepted, good_until
from counterfoil.core.subjects.token.state import Lasting, thresholds_that_count


class Presented(Accepted, Lasting, Protocol):
    """The fields that decide when credentials end; a token's state and a look-up's row both have them."""


class CredentialsExpiry(msgspec.Struct, frozen=True, kw_only=True):
    """When credentials end.

    `is_near` once the first notice of the expiry is due. `is_replaced` if a newer secret exists, so that only the rest
    of its grace is left; such an end is always near.
    """

    at: datetime
    is_near: bool
    is_replaced: bool


def expiry_of(token: Presented, generation: int, at: datetime) -> CredentialsExpiry | None:
    """Return when a secret or bearer of this generation ends, as seen at this moment; None means never."""
    end = good_until(token, generation)
    if end is None:
        return None
    is_replaced = generation < token.generation
    longest = max(thresholds_that_count(token), default=0)
    is_near = is_replaced or end - timedelta(seconds=longest) <= at
    return CredentialsExpiry(at=end, is_near=is_near, is_replaced=is_replaced)
