"""Opaque ids: callers learn nothing from them, only this service can decrypt them, and no table stores them.

They are encrypted and authenticated as in SIV mode (RFC 5297), with keyed BLAKE2b (RFC 7693) in both places and a tag
as short as the id allows, so that the same value always has the same id:

    tag = MAC(k1, kind, account, value), cut off      id = value XOR MAC(k2, kind, account, tag), then the tag
"""

from __future__ import annotations

import re
from hashlib import blake2b
from hmac import compare_digest
from typing import Final
from uuid import UUID

_HEX24: Final = re.compile(r"[0-9a-f]{24}")
_NUMBER_BYTES: Final = 7
_NUMBER_TAG: Final = 5
_BYTES: Final = 32


class OpaqueIds:
    """Encrypts and decrypts values of up to 32 bytes under one key; an id is valid for one kind and one account."""

    __slots__ = ("_masking", "_tagging")

    def __init__(self, key: bytes) -> None:
        self._tagging = blake2b(b"tag", key=key, digest_size=_BYTES).digest()
        self._masking = blake2b(b"mask", key=key, digest_size=_BYTES).digest()

    def encrypted(self, kind: str, account: UUID, value: bytes, *, tag: int) -> bytes:
        """Return the id of a value, longer than it by the bytes of the tag."""
        proof = self._mac(self._tagging, kind, account, value)[:tag]
        return self._masked(kind, account, value, proof) + proof

    def decrypted(self, kind: str, account: UUID, encrypted: bytes, *, tag: int) -> bytes | None:
        """Return the value of an id that we made for this kind and account, or None."""
        masked, proof = encrypted[:-tag], encrypted[-tag:]
        value = self._masked(kind, account, masked, proof)
        same = compare_digest(self._mac(self._tagging, kind, account, value)[:tag], proof)
        return value if same and masked else None

    def number24(self, kind: str, account: UUID, number: int) -> str:
        """Return a number below 2^56 as 24 hexadecimal digits."""
        return self.encrypted(kind, account, number.to_bytes(_NUMBER_BYTES, "big"), tag=_NUMBER_TAG).hex()

    def number_of24(self, kind: str, account: UUID, text: str) -> int | None:
        """Return the number in such an id, or None."""
        if not _HEX24.fullmatch(text):
            return None
        value = self.decrypted(kind, account, bytes.fromhex(text), tag=_NUMBER_TAG)
        return None if value is None else int.from_bytes(value, "big")

    def _masked(self, kind: str, account: UUID, value: bytes, proof: bytes) -> bytes:
        size = len(value)
        mask = self._mac(self._masking, kind, account, proof)[:size]
        return (int.from_bytes(value, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")

    @staticmethod
    def _mac(key: bytes, kind: str, account: UUID, text: bytes) -> bytes:
        return blake2b(kind.encode() + b"\x00" + account.bytes + text, key=key, digest_size=_BYTES).digest()
