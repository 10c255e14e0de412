"""Text from callers: without NUL, control characters, bidirectional overrides, secrets and bearers.

Text is stored in one form: composed (NFC), without blanks around it, so that texts that look alike are equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from counterfoil.core import secret
from counterfoil.core.refusals import BadMetadata, BadText

NAME_LIMIT: Final = 255
DESCRIPTION_LIMIT: Final = 32_767
REASON_LIMIT: Final = 1_000
METADATA_LIMIT: Final = 64
MARKS_LIMIT: Final = 30
"""Marks in a row; no language needs more (Unicode Standard Annex 15, Stream-Safe Text Format)."""

# C0, DEL and C1 controls; line and paragraph separators; bidi marks, embeddings, overrides and isolates; surrogates.
NEVER: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_REFUSED: Final = re.compile(rf"[{NEVER}\ud800-\udfff]")
PATTERN: Final = rf"^[^{NEVER}]*$"
"""The pattern in the API's document; invisible texts and texts with a secret match it and are refused later."""
NAME_PATTERN: Final = rf"^[^{NEVER}]*[^\s{NEVER}][^{NEVER}]*$"
"""A text that is not blank."""
IGNORABLE: Final = (
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u2800\u3164\ufe00-\ufe0f"
    "\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters besides blanks that are always invisible: the blank Braille cell, and Unicode's ignorable ones."""
_UNSEEN: Final = re.compile(rf"[\s{IGNORABLE}]+")
# Characters that are stripped at both ends. Variation selectors and tags stay: an emoji may end with them.
_AROUND: Final = "\xad\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064" + "".join(
    character for character in map(chr, range(0x3001)) if character.isspace()
)
_KEY: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


def normal(value: str) -> str:
    """Return the text in the one form that is stored and compared: composed (NFC), no blanks around it."""
    # Composing takes quadratic time in the length of a run of marks (a second for 32,000 of them), so texts that are
    # refused anyway are not composed.
    composed = value if _stacked(value) else unicodedata.normalize("NFC", value)
    return composed.strip(_AROUND)


def checked(what: str, value: str, limit: int) -> str:
    """Return the text in its normal form, or raise BadText naming the field (limit in characters)."""
    if found := _REFUSED.search(value):
        raise BadText(f"{what} contains U+{ord(found[0]):04X}; remove control and direction characters.", field=what)
    if _stacked(value):
        raise BadText(f"{what} has more than {MARKS_LIMIT} marks on one character; write fewer.", field=what)
    text = normal(value)
    if len(text) > limit:
        raise BadText(f"{what} has {len(text)} characters; it may have at most {limit}.", field=what)
    if value.strip() and _UNSEEN.fullmatch(value):
        raise BadText(f"{what} has only invisible characters; write at least one visible one.", field=what)
    # Others read this text, and log entries are permanent. Check after composing, which can complete a secret: the
    # Kelvin sign becomes a K.
    if secret.stands_in(text):
        raise BadText(
            f"{what} contains the secret or a bearer of a token; remove it, and rotate that token.", field=what
        )
    return text


def checked_reason(value: str) -> str:
    """Return a reason of 1 to 1,000 characters, or raise BadText."""
    if not (text := checked("reason", value, REASON_LIMIT)):
        raise BadText("reason is empty; give one such as: laptop lost.", field="reason")
    return text


def checked_name(value: str) -> str:
    """Return a name of 1 to 255 characters, or raise BadText."""
    if not (text := checked("name", value, NAME_LIMIT)):
        raise BadText("name is empty; give one such as: nightly backup.", field="name")
    return text


def checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return up to 64 short ASCII keys, each with up to 1,000 characters of text in its normal form."""
    if len(metadata) > METADATA_LIMIT:
        raise BadMetadata(f"metadata has {len(metadata)} keys; it may have at most {METADATA_LIMIT}.", field="metadata")
    for key in metadata:
        if not _KEY.fullmatch(key) or secret.stands_in(key):
            raise BadMetadata(
                "A metadata key has 1 to 64 ASCII letters, digits and _ . : / - such as team.", field="metadata"
            )
    return {key: checked(f"metadata.{key}", value, REASON_LIMIT) for key, value in metadata.items()}


def escaped(value: str) -> str:
    """Return the text with its refused characters escaped: no line breaks, no terminal control codes."""
    return value if value.isprintable() else _REFUSED.sub(lambda found: f"\\u{ord(found[0]):04x}", value)


def _stacked(value: str) -> bool:
    """Say whether the text has so many marks in a row that composing them would be slow."""
    run = 0
    for character in "" if value.isascii() else value:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MARKS_LIMIT:
            return True
    return False
