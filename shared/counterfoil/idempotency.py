"""Idempotency-Key: one effect for a key, and the same answer again (draft-ietf-httpapi-idempotency-key-header).

Neither key nor answer is stored readably. The key is kept as an HMAC under a pepper; the answer is encrypted under a
key derived from the Idempotency-Key itself, so that a retry gets the very same secret, and the database alone nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .principal import Principal
from .refusals import BadText, KeyTooShort
from .secret import Peppers

KEY_LIMIT: Final = 255
SECRET_KEY_LENGTH: Final = 22
"""Characters: what 128 random bits have in base64url."""
_NONCE_LENGTH: Final = 12


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """One request's claim to a key: what the ledger stores of it, and how its answer is kept.

    Keys of one principal never meet those of another.
    """

    account: UUID
    key_digest: bytes
    body_digest: bytes
    holds_secret: bool
    _sealing_key: bytes

    def sealed(self, reply: bytes) -> bytes:
        """Return the reply as it may be stored (AES-256-GCM, nonce first)."""
        nonce = os.urandom(_NONCE_LENGTH)
        return nonce + AESGCM(self._sealing_key).encrypt(nonce, reply, self.key_digest)

    def opened(self, stored: bytes) -> bytes:
        """Return the reply that was stored under this same key."""
        return AESGCM(self._sealing_key).decrypt(stored[:_NONCE_LENGTH], stored[_NONCE_LENGTH:], self.key_digest)

    def __repr__(self) -> str:
        return f"Claim({self.key_digest.hex()[:8]}…)"


def claim(peppers: Peppers, by: Principal, key: str, *, request: tuple[bytes, ...], holds_secret: bool) -> Claim:
    """Return the claim that a request lays to its key; `request` is all that makes it the same one: method, path, body.

    With other scopes it is another one: a bearer that holds less than its token gets no answer of the token's.
    Raises KeyTooShort where the key must protect a secret and could be guessed, BadText if it is no visible ASCII.
    """
    if not (0 < len(key) <= KEY_LIMIT and key.isascii() and key.isprintable()):
        raise BadText(
            f"An Idempotency-Key is 1 to {KEY_LIMIT} visible ASCII characters, such as a random UUID.",
            field="Idempotency-Key",
        )
    if holds_secret and len(key) < SECRET_KEY_LENGTH:
        raise KeyTooShort
    whose = (by.account.bytes, by.actor.kind.encode(), by.actor.id.bytes, key.encode())
    return Claim(
        account=by.account,
        key_digest=peppers.hmac(b"key", *whose),
        body_digest=peppers.hmac(b"request", *request, *sorted(scope.encode() for scope in by.scopes)),
        holds_secret=holds_secret,
        _sealing_key=HKDF(
            algorithm=hashes.SHA256(), length=32, salt=peppers.hmac(b"salt"), info=b"counterfoil reply"
        ).derive(b"\x00".join(whose)),
    )
