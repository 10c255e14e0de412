"""Private signing keys: generated here, and stored encrypted under KEY_ENCRYPTION_KEY."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from counterfoil.core.refusals import Misconfigured
from counterfoil.core.subjects.signing_key_events import NewKey

_NONCE_LENGTH: Final = 12
_COORDINATE_LENGTH: Final = 32


class Sealing:
    """Generates and encrypts signing keys, and decrypts stored ones."""

    def __init__(self, encryption_key: bytes) -> None:
        self._cipher = AESGCM(encryption_key)

    def new_key(self) -> NewKey:
        """Generate a key (P-256, for ES256)."""
        private = ec.generate_private_key(ec.SECP256R1())
        jwk = _public(private.public_key())
        nonce = os.urandom(_NONCE_LENGTH)
        plain = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        sealed = nonce + self._cipher.encrypt(nonce, plain, jwk["kid"].encode())
        return NewKey(kid=jwk["kid"], jwk=jwk, encrypted_private_key=sealed)

    def opened(self, kid: str, sealed: bytes) -> ec.EllipticCurvePrivateKey:
        """Decrypt a stored private key, or raise Misconfigured."""
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], kid.encode())
        except InvalidTag:
            raise Misconfigured(
                "KEY_ENCRYPTION_KEY is not the one that the signing keys of this database are encrypted with."
                " Set it to that one."
            ) from None
        private = load_der_private_key(plain, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise TypeError("bearers are signed with P-256 keys")
        return private


def _public(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    x, y = (_base64url(number.to_bytes(_COORDINATE_LENGTH, "big")) for number in (numbers.x, numbers.y))
    required = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    thumbprint = hashlib.sha256(msgspec.json.encode(required, order="sorted")).digest()  # RFC 7638
    return {**required, "kid": _base64url(thumbprint), "alg": "ES256", "use": "sig"}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
