"""The keys that bearers are signed with: made once, kept encrypted, read by every process."""

import os
from contextlib import suppress
from typing import Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from counterfoil.door import Door
from counterfoil.key import CreateKey
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.signing_keys import StoredKey, signing_keys
from counterfoil.principal import NIL, SYSTEM
from counterfoil.refusals import AlreadyExists
from counterfoil_api.keys import KeyRing, key_ring, public_jwk

# Every process that finds no key makes the same one, so all but the first are refused and read it instead.
_FIRST: Final = UUID(int=1)
_NONCE_LENGTH: Final = 12


class AnotherEncryptionKey(Exception):  # noqa: N818 - a complaint
    """KEY_ENCRYPTION_KEY is not the one that this database's signing keys were encrypted with; set that one again."""


class Keys:
    """The ring, once the database could be asked for it."""

    def __init__(self, pool: Pool, door: Door, *, issuer: str, encryption_key: bytes) -> None:
        self._pool = pool
        self._door = door
        self._issuer = issuer
        self._cipher = AESGCM(encryption_key)
        self._ring: KeyRing | None = None

    async def ring(self) -> KeyRing:
        """The keys as they were first read; a service that starts before its database has none until then."""
        if self._ring is None:
            stored = await signing_keys(self._pool) or await self._first()
            newest, *older = (self._opened(key) for key in stored)
            self._ring = key_ring(self._issuer, newest, tuple(key.public_key() for key in older))
        return self._ring

    async def _first(self) -> list[StoredKey]:
        private = ec.generate_private_key(ec.SECP256R1())
        jwk = msgspec.to_builtins(public_jwk(private.public_key()))
        command = CreateKey(
            account=NIL,
            id=_FIRST,
            by=SYSTEM,
            kid=jwk["kid"],
            jwk=jwk,
            sealed_private=self._sealed(private, jwk["kid"]),
        )
        with suppress(AlreadyExists):  # another process was first
            await self._door.execute(command)
        return await signing_keys(self._pool)

    def _sealed(self, private: ec.EllipticCurvePrivateKey, kid: str) -> bytes:
        nonce = os.urandom(_NONCE_LENGTH)
        plain = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return nonce + self._cipher.encrypt(nonce, plain, kid.encode())

    def _opened(self, stored: StoredKey) -> ec.EllipticCurvePrivateKey:
        nonce, sealed = stored.sealed[:_NONCE_LENGTH], stored.sealed[_NONCE_LENGTH:]
        try:
            plain = self._cipher.decrypt(nonce, sealed, stored.key.kid.encode())
        except InvalidTag:
            raise AnotherEncryptionKey(AnotherEncryptionKey.__doc__) from None
        private = load_der_private_key(plain, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise TypeError("bearers are signed with P-256 keys")
        return private
