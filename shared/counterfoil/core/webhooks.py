"""Webhook messages by the Standard Webhooks specification (1.0): secrets, signatures, and when to try again."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

SECRET_BYTES: Final = 32
_PREFIX: Final = "whsec_"
MOST_ATTEMPTS: Final = 12
DAYS: Final = 3
"""So long after an event its delivery is tried; then it is dead, as after so many attempts."""
_FIRST_SECONDS: Final = 10.0
_GROWTH: Final = 3.0
_LONGEST_SECONDS: Final = 43_200.0
_LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0
GONE: Final = 410

Outcome = Literal["delivered", "failed", "gone"]


def secret_text(raw: bytes) -> str:
    """Return a secret as receivers configure it: whsec_ and base64."""
    return _PREFIX + base64.b64encode(raw).decode("ascii")


def secret_bytes(text: str) -> bytes:
    """Return the key in a secret's text. Raises ValueError if it is none."""
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("not a webhook secret") from None


def signatures(secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header webhook-signature: one signature for each secret, separated by spaces."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(secret_bytes(secret), content, "sha256")).decode("ascii")
        for secret in secrets
    )


def outcome_of(status: int) -> Outcome:
    """Return what an HTTP status means: 2xx is a receipt, 410 ends the subscription, all else is tried again."""
    if 200 <= status < 300:
        return "delivered"
    return "gone" if status == GONE else "failed"


def delay_seconds(attempts: int, chance: float) -> float:
    """Return how long to wait after so many attempts: 10 s, then three times as long each time, up to 12 hours.

    `chance` between 0 and 1 varies it by a quarter, so that what failed together is not repeated together.
    """
    return min(_FIRST_SECONDS * _GROWTH ** (attempts - 1), _LONGEST_SECONDS) * (0.75 + chance / 2)


def retry_after_seconds(text: str, now: datetime) -> float | None:
    """Return the wait that a Retry-After header asks for, a day at most; None if it cannot be read."""
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return min(max((moment - now).total_seconds(), 0.0), _LONGEST_RETRY_AFTER_SECONDS)
