"""The tokens of a bench, by number. Every process derives the same secrets, so none is passed between processes."""

import base64
import hashlib
from typing import Final

from counterfoil.core.secret import PREFIXES, Peppers, Secret, checksum

PEPPER: Final = hashlib.sha256(b"a bench's pepper").digest()
PEPPERS: Final = Peppers({1: PEPPER})
ENVIRONMENT: Final = {
    "PEPPERS": f"1:{base64.b64encode(PEPPER).decode()}",
    "KEY_ENCRYPTION_KEY": base64.b64encode(hashlib.sha256(b"a bench's key").digest()).decode(),
}
"""The settings with which an API process accepts these secrets."""


def secret(n: int) -> Secret:
    """Return the secret of the n-th token; it has the right form and is not random."""
    body = PREFIXES["service"] + hashlib.sha256(f"token {n}".encode()).hexdigest()[:43]
    return Secret(body + checksum(body))


def digest(n: int) -> bytes:
    """Return the digest of the n-th token's secret."""
    return PEPPERS.digests(secret(n))[0]
