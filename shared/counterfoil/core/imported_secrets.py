"""Secrets of other systems: imported by value or by digest, and recognised when a caller presents them.

The database stores the HMAC of a plain digest (`sha256:` and its bytes), so both ways of importing yield one value.
An imported secret has no recognisable form, so look-ups include them only where some were imported.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import log2
from typing import Final, Literal

from counterfoil.core.refusals import BadSecret, WeakSecret
from counterfoil.core.secret import PREFIXES

Algorithm = Literal["sha256", "sha512"]
SHORTEST: Final = 16
LONGEST: Final = 1_024
_LENGTHS: Final[dict[Algorithm, int]] = {"sha256": 32, "sha512": 64}
ALGORITHMS: Final = tuple(_LENGTHS)
_SHAPE: Final = re.compile(rf"[!-~]{{{SHORTEST},{LONGEST}}}")
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_OURS: Final = tuple(PREFIXES.values())
_SHOWN: Final = 4
_LONG_ENOUGH_TO_SHOW: Final = 24
_LEAST_BITS: Final = 48.0
"""Bits, estimated from the frequencies of the characters; 16 random hexadecimal digits have about 56."""
_ANONYMOUS: Final = "imported"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ImportedSecret:
    """The plain text, kept for one request, and the algorithms by whose digest it may be stored."""

    plain: str
    algorithms: tuple[Algorithm, ...]

    @property
    def materials(self) -> tuple[bytes, ...]:
        return tuple(_material(name, hashlib.new(name, self.plain.encode()).digest()) for name in self.algorithms)

    @property
    def hint(self) -> str:
        """The first characters, which often name the issuing system; empty for a short secret."""
        return self.plain[:_SHOWN] if len(self.plain) >= _LONG_ENOUGH_TO_SHOW else _ANONYMOUS

    @property
    def scheme(self) -> str:
        return self.algorithms[0]

    def __repr__(self) -> str:
        return "ImportedSecret(…)"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ImportedDigest:
    """The digest of a secret whose plain text was never sent to this service."""

    algorithm: Algorithm
    digest: bytes

    @property
    def materials(self) -> tuple[bytes, ...]:
        return (_material(self.algorithm, self.digest),)

    @property
    def hint(self) -> str:
        """Always empty: the plain text is unknown."""
        return _ANONYMOUS

    @property
    def scheme(self) -> str:
        return self.algorithm

    def __repr__(self) -> str:
        return "ImportedDigest(…)"


def could_be_imported(text: str) -> bool:
    """Say whether a text may be an imported secret: visible, of sensible length, not ours and no bearer."""
    return _SHAPE.fullmatch(text) is not None and not text.startswith(_OURS) and not looks_signed(text)


def looks_signed(text: str) -> bool:
    """Say whether a text looks like a signed bearer: three parts, the first of them an encoded JSON object."""
    return text.startswith("eyJ") and text.count(".") == 2


def by_value(text: str) -> ImportedSecret:
    """Return a secret to import, or raise BadSecret or WeakSecret; the message contains no part of the text."""
    if len(text) < SHORTEST:
        raise WeakSecret(f"An imported secret has at least {SHORTEST} characters.", field="secret")
    if not could_be_imported(text):
        raise BadSecret(field="secret")
    if _guessable(text):
        raise WeakSecret(field="secret")
    return ImportedSecret(text, ALGORITHMS)


def by_digest(algorithm: Algorithm, text: str) -> ImportedDigest:
    """Parse the digest of a secret, in hexadecimal or base64, or raise BadSecret."""
    length = _LENGTHS[algorithm]
    digest = _decoded(text, length)
    if digest is None:
        raise BadSecret(f"A {algorithm} digest is {length} bytes, in hexadecimal or in base64.", field="digest")
    return ImportedDigest(algorithm, digest)


def _decoded(text: str, length: int) -> bytes | None:
    if len(text) == 2 * length and _HEX.fullmatch(text):
        return bytes.fromhex(text)
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        digest = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return None
    return digest if len(digest) == length else None


def _material(algorithm: Algorithm, digest: bytes) -> bytes:
    return algorithm.encode() + b":" + digest


def _guessable(text: str) -> bool:
    """Say whether a text is obviously not random: few characters, repeated, or a run such as abcdef."""
    return _bits(text) < _LEAST_BITS or _repeats(text) or _runs(text)


def _bits(text: str) -> float:
    counts = Counter(text).values()
    return -sum(count * log2(count / len(text)) for count in counts)


def _repeats(text: str) -> bool:
    return (text + text).find(text, 1) < len(text) or text[: len(text) // 2] == text[len(text) // 2 :][: len(text) // 2]


def _runs(text: str) -> bool:
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    return any(2 * steps.count(step) >= len(steps) for step in (-1, 0, 1))
