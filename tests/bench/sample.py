"""The tokens of a bench, by number: every process derives the same secrets, so that none has to be handed over."""

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
"""What makes our secrets good ones to an API process."""


def secret(n: int) -> Secret:
    """Return the secret of the n-th token: of the right form, and only as random as a bench needs."""
    body = PREFIXES["service"] + hashlib.sha256(f"token {n}".encode()).hexdigest()[:43]
    return Secret(body + checksum(body))


def digest(n: int) -> bytes:
    """Return what the ledger keeps of the n-th token's secret."""
    return PEPPERS.digests(secret(n))[0]
