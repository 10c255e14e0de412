"""The headers Accept and Accept-Encoding (RFC 9110 12.5). A malformed header requests nothing."""

import re
from collections.abc import Sequence
from typing import Final

_QUALITY: Final = re.compile(r";[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|$)")


def accepts(header: str, coding: str) -> bool:
    """Return whether the header accepts a coding, such as gzip."""
    qualities = _qualities(header)
    return qualities.get(coding, qualities.get("*", 0.0)) > 0


def preferred(header: str, offered: Sequence[str]) -> str:
    """Return the offered media type with the highest quality; a name beats a range, and then the first one wins."""
    qualities = _qualities(header)
    return max(offered, key=lambda media_type: _weight(media_type, qualities))


def _weight(media_type: str, qualities: dict[str, float]) -> tuple[float, int]:
    ranges = ("*/*", media_type.partition("/")[0] + "/*", media_type)
    named = max((at for at, each in enumerate(ranges) if each in qualities), default=-1)
    return (qualities[ranges[named]], named) if named >= 0 else (0.0, named)


def _qualities(header: str) -> dict[str, float]:
    """Return the quality of each name, in lower case and without parameters."""
    qualities: dict[str, float] = {}
    for element in header.split(","):
        name, semicolon, parameters = element.partition(";")
        quality = _QUALITY.search(semicolon + parameters)
        qualities[name.strip(" \t").lower()] = float(quality[1]) if quality else 1.0
    return qualities
