"""Finds any part of a secret, in any spelling, in anything that can be read as bytes."""

import base64
import hashlib
import re
from collections.abc import Iterable

WINDOW = 16
"""A part this long is no coincidence, and longer than any hint that may be shown."""
STRIDE = 4
SHORTEST = WINDOW + STRIDE - 1
"""Whoever keeps this many characters in a row is found."""

_RUNS = re.compile(rb"[0-9A-Za-z+/=_.,:;!~-]{%d,}" % WINDOW)


class Scanner:
    """Knows secrets by name and finds which of them a text contains."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}

    def know(self, name: str, secret: str | bytes) -> None:
        """Look for this secret too. The prefix and the hint of our own tokens may be shown, the rest may not."""
        plain = secret if isinstance(secret, bytes) else secret.encode()
        bare = plain.rpartition(b"_")[2] if plain.startswith(b"cfl_") else plain
        if len(bare) < SHORTEST:
            raise ValueError(f"{name} is too short to be told from a coincidence")
        for text in _spellings(plain, bare):
            for start in range(len(text) - WINDOW + 1):
                self._names[text[start : start + WINDOW]] = name

    def found(self, data: bytes) -> set[str]:
        """The names of the secrets of which the text contains a part."""
        names = self._names
        return {
            names[window]
            for run in _RUNS.findall(data)
            for start in (*range(0, len(run) - WINDOW + 1, STRIDE), len(run) - WINDOW)
            if (window := run[start : start + WINDOW]) in names
        }


def _spellings(plain: bytes, bare: bytes) -> Iterable[bytes]:
    """The secret as it is, in hex and base64, and every value that would confirm a guess without a pepper."""
    yield bare
    yield from _encoded(bare)
    for hashing in ("md5", "sha1", "sha256", "sha512"):
        for hashed in (plain, bare):
            yield from _encoded(hashlib.new(hashing, hashed, usedforsecurity=False).digest())


def _encoded(raw: bytes) -> Iterable[bytes]:
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for before in range(3):  # base64 depends on the offset within a longer text, modulo three
        whole = base64.b64encode(bytes(before) + raw)
        inner = whole[4 if before else 0 : len(whole) - 4]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
