"""What the headers Accept and Accept-Encoding ask for (RFC 9110 12.5). What cannot be read asks for nothing."""

import re
from collections.abc import Sequence
from typing import Final

_QUALITY: Final = re.compile(r";[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|$)")


def accepts(header: str, coding: str) -> bool:
    """Whether a coding, such as gzip, is asked for."""
    wanted = _wanted(header)
    return wanted.get(coding, wanted.get("*", 0.0)) > 0


def preferred(header: str, offered: Sequence[str]) -> str:
    """The media type that is asked for most: by its own name rather than a range, then the first; else the first."""
    wanted = _wanted(header)
    return max(offered, key=lambda media_type: _weight(media_type, wanted))


def _weight(media_type: str, wanted: dict[str, float]) -> tuple[float, int]:
    ranges = ("*/*", media_type.partition("/")[0] + "/*", media_type)
    named = max((at for at, each in enumerate(ranges) if each in wanted), default=-1)
    return (wanted[ranges[named]], named) if named >= 0 else (0.0, named)


def _wanted(header: str) -> dict[str, float]:
    """By name, how much it is wanted; in small letters, parameters left out."""
    wanted: dict[str, float] = {}
    for element in header.split(","):
        name, semicolon, parameters = element.partition(";")
        quality = _QUALITY.search(semicolon + parameters)
        wanted[name.strip(" \t").lower()] = float(quality[1]) if quality else 1.0
    return wanted
