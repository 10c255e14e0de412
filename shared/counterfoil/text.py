"""Text as people may write it: no NUL, no control characters, no bidirectional overrides, no secret of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from . import secret
from .refusals import BadMetadata, BadText

NAME_LIMIT: Final = 255
DESCRIPTION_LIMIT: Final = 32_767
REASON_LIMIT: Final = 1_000
METADATA_LIMIT: Final = 64

# C0, DEL and C1 controls; line and paragraph separators; bidi marks, embeddings, overrides and isolates; surrogates.
_REFUSED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_KEY: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


def checked(what: str, value: str, limit: int) -> str:
    """Return the text as given, or raise BadText naming the field (limit in characters)."""
    if len(value) > limit:
        raise BadText(f"{what} is longer than {limit} characters.", field=what)
    if found := _REFUSED.search(value):
        raise BadText(f"{what} holds U+{ord(found[0]):04X}; control and direction characters are refused.", field=what)
    # What people write is read by others, and an entry is for ever.
    if secret.stands_in(value):
        raise BadText(f"{what} holds a token's secret; say it without, and rotate that token.", field=what)
    return value


def checked_reason(value: str) -> str:
    """Return a reason of 1 to 1,000 characters, or raise BadText."""
    if not value.strip():
        raise BadText("reason is empty; say why, somebody will ask.", field="reason")
    return checked("reason", value, REASON_LIMIT)


def checked_name(value: str) -> str:
    """Return a name of 1 to 255 characters, or raise BadText."""
    if not value.strip():
        raise BadText("name is empty; give one that people will recognise.", field="name")
    return checked("name", value, NAME_LIMIT)


def checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata as given: up to 64 short ASCII keys, each with up to 1,000 characters of text."""
    if len(metadata) > METADATA_LIMIT:
        raise BadMetadata(f"metadata has more than {METADATA_LIMIT} keys.", field="metadata")
    for key, value in metadata.items():
        if not _KEY.fullmatch(key) or secret.stands_in(key):
            raise BadMetadata("metadata keys are 1 to 64 ASCII letters, digits and _ . : / -", field="metadata")
        checked(f"metadata.{key}", value, REASON_LIMIT)
    return dict(metadata)


def escaped(value: str) -> str:
    """Return the text with its refused characters spelt out: it breaks no line and steers no terminal."""
    return value if value.isprintable() else _REFUSED.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
