"""Ids of tokens in the form of Canvus: the base64 of a text that has the form of a bcrypt hash, with one salt a server.

They are not hashes of secrets: the place of the hash contains the ledger's id, encrypted.
"""

import base64
import re
from typing import Final
from uuid import UUID

from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil.core.principal import NIL

_KIND: Final = "canvus token"
_TAG: Final = 7
"""Bytes. With the 16 bytes of a UUID they give 23, the length of a bcrypt hash."""
_SALT: Final = 16
_TEXT: Final = re.compile(r"[A-Za-z0-9]{80}")
_RADIX_64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BCRYPT: Final = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TO_BCRYPT: Final = str.maketrans(_RADIX_64, _BCRYPT)
_FROM_BCRYPT: Final = str.maketrans(_BCRYPT, _RADIX_64)
_COST: Final = "$2a$04$"


def id_of(opaque: OpaqueIds, account: UUID, token_id: UUID) -> str:
    """Return the id that a token has in Canvus: 80 letters and digits."""
    sealed = opaque.encrypted(_KIND, account, token_id.bytes, tag=_TAG)
    return base64.b64encode(f"{_COST}{_salt(opaque)}{_spelt(sealed)}".encode()).decode()


def token_of(opaque: OpaqueIds, account: UUID, text: str) -> UUID | None:
    """Return the token that has this id, or None."""
    if not _TEXT.fullmatch(text):
        return None
    spelt = base64.b64decode(text)[-31:].decode("latin-1")
    if not set(spelt) <= set(_BCRYPT):
        return None
    sealed = base64.b64decode(spelt.translate(_FROM_BCRYPT) + "=")
    value = opaque.decrypted(_KIND, account, sealed, tag=_TAG)
    found = None if value is None else UUID(bytes=value)
    # Text with another salt, or with other unused bits at its end, is not the id.
    return found if found is not None and id_of(opaque, account, found) == text else None


def _salt(opaque: OpaqueIds) -> str:
    return _spelt(opaque.encrypted("canvus salt", NIL, bytes(_SALT), tag=1)[:_SALT])


def _spelt(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=").translate(_TO_BCRYPT)
