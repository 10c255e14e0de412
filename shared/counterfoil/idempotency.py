"""Idempotency-Key: one effect for a key, and the same answer again (draft-ietf-httpapi-idempotency-key-header).

Neither key nor answer is stored in clear text. The key is stored as an HMAC under a pepper. The answer is encrypted
under a key that is derived from the Idempotency-Key, so a retry gets the same secret, and the database alone reveals
nothing.

Some clients send no key and count their attempts instead. For them the key is made of the whole request and the
presented credentials; the count distinguishes a repeat from a new request with the same content.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadText, KeyTooShort
from counterfoil.core.secret import Peppers

KEY_LIMIT: Final = 255
SECRET_KEY_LENGTH: Final = 22
"""Characters: the length of 128 random bits in base64url."""
REPLIES_LAST: Final = timedelta(hours=24)
SECRETS_LAST: Final = timedelta(minutes=10)
_NONCE_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class Attempt:
    """The number of an attempt at a request, of a client that counts attempts from 0 and states no key.

    A first attempt is always carried out, even if an equal request was answered before; it takes over the key. A repeat
    gets the stored answer for ten minutes; without one it is carried out. A repeat may overtake its first attempt: the
    first attempt then gets the answer of a repeat that was carried out after the first attempt arrived, which is at
    `came` by the monotonic clock of its process.
    """

    number: int
    came: float


@dataclass(frozen=True, slots=True, repr=False)
class IdempotencyClaim:
    """A request's claim to a key: what the ledger stores of it, and the encryption of its answer.

    Equal keys of different principals are different.
    """

    account: UUID
    key_digest: bytes
    body_digest: bytes
    holds_secret: bool
    _sealing_key: bytes
    attempt: Attempt | None = None
    _other_digest: bytes = b""
    """The `body_digest` of a repeat's first attempt, or of a first attempt's repeats."""

    def fits(self, body_digest: bytes) -> bool:
        """Return whether the request that holds the key is the same as this one."""
        return any(hmac.compare_digest(body_digest, own) for own in (self.body_digest, self._other_digest))

    @property
    def replaced(self) -> bytes | None:
        """The `body_digest` of requests of any age that lose the key to this claim: other first attempts."""
        return self.body_digest if self.attempt is not None and not self.attempt.number else None

    def lasts(self, now: float) -> timedelta:
        """Return the greatest age of a stored answer for this claim; `now` is by the clock of `Attempt.came`."""
        if self.attempt is None:
            return REPLIES_LAST
        return SECRETS_LAST if self.attempt.number else timedelta(seconds=max(now - self.attempt.came, 0))

    def sealed(self, reply: bytes) -> bytes:
        """Return the reply as it may be stored (AES-256-GCM, nonce first)."""
        nonce = os.urandom(_NONCE_LENGTH)
        return nonce + AESGCM(self._sealing_key).encrypt(nonce, reply, self.key_digest)

    def opened(self, stored: bytes) -> bytes:
        """Return the reply that was stored under this same key."""
        return AESGCM(self._sealing_key).decrypt(stored[:_NONCE_LENGTH], stored[_NONCE_LENGTH:], self.key_digest)

    def __repr__(self) -> str:
        return f"Claim({self.key_digest.hex()[:8]}…)"


def claim(
    peppers: Peppers,
    by: Principal,
    key: str,
    *,
    request: tuple[bytes, ...],
    holds_secret: bool,
    attempt: Attempt | None = None,
) -> IdempotencyClaim:
    """Return the claim of a request to its key; `request` is what identifies the request: method, path, body.

    Other scopes make it another request: a bearer with fewer scopes than its token gets no answer of the token.
    Raises KeyTooShort if the key must protect a secret and could be guessed, BadText if it is not visible ASCII.
    """
    if not (0 < len(key) <= KEY_LIMIT and key.isascii() and key.isprintable()):
        raise BadText(
            f"An Idempotency-Key is 1 to {KEY_LIMIT} visible ASCII characters, such as a random UUID.",
            field="Idempotency-Key",
        )
    if holds_secret and len(key) < SECRET_KEY_LENGTH:
        raise KeyTooShort
    whose = (by.account.bytes, by.actor.kind.encode(), by.actor.id.bytes, key.encode())
    scopes = sorted(scope.encode() for scope in by.scopes)
    body, other = peppers.hmac(b"request", *request, *scopes), b""
    if attempt is not None:
        first, repeat = body, peppers.hmac(b"repeat", *request, *scopes)
        body, other = (repeat, first) if attempt.number else (first, repeat)
    return IdempotencyClaim(
        account=by.account,
        key_digest=peppers.hmac(b"key", *whose),
        body_digest=body,
        holds_secret=holds_secret,
        attempt=attempt,
        _other_digest=other,
        _sealing_key=HKDF(
            algorithm=hashes.SHA256(), length=32, salt=peppers.hmac(b"salt"), info=b"counterfoil reply"
        ).derive(b"\x00".join(whose)),
    )
