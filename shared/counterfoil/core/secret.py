"""Secrets: how they are made, recognised without the database, and stored only as a digest.

    cfl_service_<43 base62 characters: 256 random bits><6 characters: CRC-32 of all that stands before>

The checksum catches typing errors and truncated copies before anything is looked up; it proves nothing. What is
stored is HMAC-SHA-256 under a pepper that the database does not hold: 256 random bits need no slow hash.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from zlib import crc32

import msgspec

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_SHAPE: Final = re.compile(r"cfl_(?:user|app|service)_[0-9A-Za-z]{49}")
# Both look ahead and consume nothing, so that a near match does not hide a secret that begins inside it. At each place
# they read at most the length of one secret or bearer, so the time grows only linearly with the text.
_ANYWHERE: Final = re.compile(f"(?=({_SHAPE.pattern}))")
_SHOWN: Final = 4
"""Characters of a secret that its hint shows."""
_BEARER: Final = re.compile(
    r"(?=eyJhbGciOiJFUzI1NiIsImtpZCI6[A-Za-z0-9_-]{60}LCJ0eXAiOiJhdCtqd3QifQ\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86})"
)
"""Matches the header of every bearer that we sign: {"alg":"ES256","kid":<43 characters>,"typ":"at+jwt"}."""
HEX: Final = "0123456789abcdef"
URL_SAFE: Final = f"{_ALPHABET}-_"
PREFIXES: Final = {"user": "cfl_user_", "application": "cfl_app_", "service": "cfl_service_"}


OWN: Final = "counterfoil"
"""The scheme of secrets that were made here; see `imported_secrets` for the others."""


class Minted(msgspec.Struct, frozen=True):
    """What the ledger stores of a new secret: its digest (32 bytes), the pepper that made it, and a hint to show.

    `scheme` says what was digested: the secret itself, or a digest of it that came from elsewhere.
    """

    digest: bytes
    pepper_id: int
    hint: str
    scheme: str = OWN


class Digestible(Protocol):
    """A secret, or a digest of one: the bytes that may be digested under a pepper, the preferred ones first."""

    @property
    def materials(self) -> tuple[bytes, ...]: ...
    @property
    def hint(self) -> str: ...
    @property
    def scheme(self) -> str: ...


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Secret:
    """The plain text, kept for one request; it cannot print itself.

    `prefix` is how many characters every secret of its form begins with; without it the form is ours.
    """

    plain: str
    prefix: int | None = None

    @property
    def hint(self) -> str:
        """Enough to recognise a token by, too little to use it: 4 of its random characters."""
        prefix = self.plain.rindex("_") + 1 if self.prefix is None else self.prefix
        return self.plain[: prefix + _SHOWN]

    @property
    def materials(self) -> tuple[bytes, ...]:
        return (self.plain.encode(),)

    @property
    def scheme(self) -> str:
        return OWN

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, slots=True)
class SecretShape:
    """A form of secret other than ours: a prefix, and a number of random characters of an alphabet.

    It has no checksum against typing errors. A shape has at least 128 random bits. The number of characters
    in the alphabet divides 256, so that each is as likely as any other.
    """

    prefix: str
    alphabet: str
    length: int

    def __post_init__(self) -> None:
        if 256 % len(self.alphabet):
            raise ValueError("the characters of this alphabet would not all be as likely")

    def mint(self) -> Secret:
        """Make a new secret of this form."""
        drawn = (self.alphabet[byte % len(self.alphabet)] for byte in secrets.token_bytes(self.length))
        return Secret(self.prefix + "".join(drawn), len(self.prefix))

    def recognised(self, text: str) -> Secret | None:
        """Return the secret that a text of this form may be."""
        rest = text.removeprefix(self.prefix)
        fits = len(text) == len(self.prefix) + self.length == len(self.prefix) + len(rest)
        return Secret(text, len(self.prefix)) if fits and set(rest) <= set(self.alphabet) else None


class Peppers:
    """The keys that digest secrets: one signs, and every one that is not retired verifies.

    The highest signs until `follow` names another. `mac_key` is for everything except secrets of tokens.
    """

    __slots__ = ("_by_id", "_mac_key", "_verifying", "signing")

    def __init__(self, by_id: Mapping[int, bytes], *, mac_key: bytes | None = None) -> None:
        self._by_id = dict(by_id)
        self._mac_key = by_id[min(by_id)] if mac_key is None else mac_key
        self.follow(max(by_id), frozenset())

    def follow(self, signing: int, retired: Collection[int]) -> None:
        """Digest new secrets under this pepper from now on, and none under the retired ones."""
        if signing not in self._by_id:
            raise KeyError(signing)
        self.signing = signing
        others = sorted(self._by_id.keys() - {signing, *retired}, reverse=True)
        self._verifying = (signing, *others)

    def minted(self, secret: Digestible) -> Minted:
        """Return what to store of a new secret."""
        return Minted(self._digest(secret.materials[0], self.signing), self.signing, secret.hint, secret.scheme)

    def digests(self, secret: Digestible) -> tuple[bytes, ...]:
        """Return the digest under each pepper, the signing one first: one of them may be in the table.

        All of one algorithm come before those of the next: of two tokens of the same age, the first match is opened.
        """
        peppers = self._verifying
        return tuple(self._digest(material, pepper_id) for material in secret.materials for pepper_id in peppers)

    def again(self, secret: Digestible) -> Iterator[tuple[bytes, bytes]]:
        """Yield each digest that may be stored for a secret, with the one to store now."""
        for material in secret.materials:
            new = self._digest(material, self.signing)
            for pepper_id in self._verifying[1:]:
                yield self._digest(material, pepper_id), new

    def checks(self) -> dict[int, str]:
        """Return a check value for each pepper, which shows if another process has a different key under its number.

        It does not reveal the key, which is 256 random bits, and is not the digest of any secret.
        """
        return {pepper_id: self._digest(b"counterfoil pepper check", pepper_id)[:16].hex() for pepper_id in self._by_id}

    def hmac(self, *parts: bytes) -> bytes:
        """Return an HMAC of length-prefixed parts that is the same whichever pepper signs."""
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._mac_key, text, "sha256")

    def _digest(self, material: bytes, pepper_id: int) -> bytes:
        return hmac.digest(self._by_id[pepper_id], material, "sha256")

    def __repr__(self) -> str:
        return f"Peppers(ids={sorted(self._by_id)})"


def base62(number: int, width: int) -> str:
    """Return a non-negative number in base 62 (0-9A-Za-z), left-padded with zeros to at least `width` characters."""
    text = ""
    while number:
        number, pair = divmod(number, 3844)
        text = _PAIRS[pair] + text
    return text.lstrip("0").rjust(width, "0")


def checksum(text: str) -> str:
    """Return CRC-32 in base 62, six characters: the scheme of GitHub's and npm's tokens."""
    return base62(crc32(text.encode()), 6)


def mint(owner_type: str) -> Secret:
    """Make a new secret for an owner of this type (user, application or service)."""
    body = PREFIXES[owner_type] + base62(int.from_bytes(secrets.token_bytes(32), "big"), 43)
    return Secret(body + checksum(body))


def recognised(text: str) -> Secret | None:
    """Return the secret if the text has our shape and its checksum fits; None costs no look-up."""
    if _SHAPE.fullmatch(text) and checksum(text[:-6]) == text[-6:]:
        return Secret(text)
    return None


def stands_in(text: str) -> bool:
    """Say whether the text contains one of our secrets or bearers, at any place."""
    if "cfl_" in text and any(recognised(found) for found in _ANYWHERE.findall(text)):
        return True
    return "eyJ" in text and _BEARER.search(text) is not None
