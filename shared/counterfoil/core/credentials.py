"""Credentials of a token as a caller presents them: a secret or a signed bearer, not yet verified."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from counterfoil.core.imported_secrets import looks_signed
from counterfoil.core.refusals import CredentialsRefused

ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# More than the b64token of RFC 6750: imported secrets may hold any visible character.
_VISIBLE: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, repr=False)
class SecretGiven:
    """A token's secret: as Bearer, as the password of an empty user, or of the token's own id (`client`).

    If an OAuth client may have form-encoded it, `plain` is the decoded text and `raw` the text as it was sent: either
    may be the secret of `client`.
    """

    plain: str
    client: UUID | None = None
    raw: str | None = None

    @property
    def readings(self) -> tuple[SecretGiven, ...]:
        """The texts that may be the secret, in the order of the look-ups: one, or the decoded and the sent text."""
        decoded = SecretGiven(self.plain, self.client)
        return (decoded,) if self.raw is None else (decoded, SecretGiven(self.raw, self.client))


@dataclass(frozen=True, slots=True, repr=False)
class BearerGiven:
    """A signed bearer, as the caller sent it."""

    text: str


Given = SecretGiven | BearerGiven


def token(text: str) -> Given:
    """Return a bearer for a signed JSON object (RFC 7515 compact form), else a secret; refuse invisible characters."""
    if not is_visible(text):
        raise CredentialsRefused
    return BearerGiven(text) if looks_signed(text) else SecretGiven(text)


def client_secret(client: str, secret: str) -> SecretGiven:
    """Return a token's id together with its secret, or raise CredentialsRefused."""
    if not is_id(client) or not is_visible(secret):
        raise CredentialsRefused
    return SecretGiven(secret, UUID(client))


def is_id(text: str) -> bool:
    """Say whether a text has the form of a token's id."""
    return ID.fullmatch(text) is not None


def is_visible(text: str) -> bool:
    """Say whether a text has only characters that a secret may have."""
    return _VISIBLE.fullmatch(text) is not None
