"""Secrets of webhooks: generated here, and stored encrypted under a key derived from KEY_ENCRYPTION_KEY."""

from __future__ import annotations

import os
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from counterfoil.core.refusals import Misconfigured
from counterfoil.core.subjects.subscription_events import EncryptedSecret
from counterfoil.core.webhooks import SECRET_BYTES, secret_text

_NONCE_LENGTH: Final = 12


class WebhookSecrets:
    """Generates secrets, and decrypts stored ones; each is bound to its subscription."""

    def __init__(self, key_encryption_key: bytes) -> None:
        derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"counterfoil webhook secrets")
        self._cipher = AESGCM(derived.derive(key_encryption_key))

    def new(self, account: UUID, subscription: UUID) -> tuple[str, EncryptedSecret]:
        """Generate a secret; return its text, which is shown once, and what is stored."""
        raw, nonce = os.urandom(SECRET_BYTES), os.urandom(_NONCE_LENGTH)
        content = self._cipher.encrypt(nonce, raw, account.bytes + subscription.bytes)
        return secret_text(raw), EncryptedSecret(nonce + content)

    def opened(self, account: UUID, subscription: UUID, stored: bytes) -> str:
        """Decrypt a stored secret, or raise Misconfigured."""
        nonce, content = stored[:_NONCE_LENGTH], stored[_NONCE_LENGTH:]
        try:
            return secret_text(self._cipher.decrypt(nonce, content, account.bytes + subscription.bytes))
        except InvalidTag:
            raise Misconfigured(
                "KEY_ENCRYPTION_KEY is not the one that this webhook secret is encrypted with. Set it to that one."
            ) from None
