"""Parsers of the texts of settings: each returns a value or raises a `ValueError` that says what is wrong."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from uuid import UUID

from counterfoil.core.destinations import PLAIN, DestinationRefused, webhook_destination_of
from counterfoil.core.duration import length
from counterfoil.core.refusals import BadDuration
from counterfoil.server_urls import split

_HOUR_SECONDS = 3_600
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:@\[\]/]+)(:\d{1,5})?")


def public_url(text: str) -> str:
    """An address that others can append a path to."""
    parts = split(text, "http", "https")
    if not _HOST_AND_PORT.fullmatch(parts.netloc) or parts.query or parts.fragment:
        raise ValueError("has to be a scheme and a host, optionally with a port and a path")
    return text.rstrip("/")


def host(text: str) -> str:
    """An address to listen on, in its shortest spelling, or the name of a host."""
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", text):
            raise ValueError("has to be an address or the name of a host, without a scheme and a port") from None
    return text


def account_id(text: str) -> UUID:
    """An account's id."""
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("has to be the id of an account") from None


def whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number between these."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"has to be a whole number from {least} to {most}")
        return int(text)

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """One of these words."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"has to be one of {', '.join(choices)}")
        return text.lower()

    return read


def key(text: str, *, least: int, most: int) -> bytes:
    """Bytes, in base64."""
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("has to be in base64") from None
    if not least <= len(found) <= most:
        raise ValueError(f"holds {len(found)} bytes and has to hold {least}{'' if least == most else ' or more'}")
    return found


def peppers(text: str) -> dict[int, bytes]:
    """Numbered keys."""
    found: dict[int, bytes] = {}
    for part in text.split(","):
        number, colon, encoded = part.strip().partition(":")
        if not colon or not number.isdecimal() or not 1 <= int(number) <= 32_767:
            raise ValueError("has to be a list of NUMBER:KEY, with numbers from 1 to 32767 and keys in base64")
        if int(number) in found:
            raise ValueError(f"names pepper {int(number)} twice")
        found[int(number)] = key(encoded, least=32, most=1024)
    return found


def encryption_key(text: str) -> bytes:
    """A key for AES-256."""
    return key(text, least=32, most=32)


def seconds(text: str) -> float:
    """A duration."""
    try:
        found = length(text).total_seconds()
    except BadDuration:
        raise ValueError("has to be a duration: numbers with a unit, such as 90d, 2h45m or 300ms") from None
    if not found:
        raise ValueError("has to be longer than zero")
    return found


def whole_seconds(text: str) -> int:
    """A duration of at least a second."""
    if not (found := int(seconds(text))):
        raise ValueError("has to be at least a second long")
    return found


def thresholds(text: str) -> tuple[int, ...]:
    """Durations, the longest first."""
    return tuple(sorted({whole_seconds(part.strip()) for part in text.split(",")}, reverse=True))


def rate(text: str) -> tuple[int, int] | None:
    """How many in how long; None for any number."""
    if text.lower() == "none":
        return None
    most, slash, span = text.partition("/")
    if not slash:
        raise ValueError("has to be a number, a slash and a duration, such as 600/1m, or none")
    return whole(1, 1_000_000_000)(most.strip()), whole_seconds(span.strip())


def rotation(text: str) -> int | None:
    """A duration of at least an hour; None for never."""
    if text.lower() == "none":
        return None
    if (found := whole_seconds(text)) < _HOUR_SECONDS:
        raise ValueError("has to be at least an hour")
    return found


def proxies(text: str) -> tuple[str, ...]:
    """Networks, and perhaps the word `unix`."""
    named = dict.fromkeys(part.strip() for part in text.split(","))
    try:
        widest = min((ipaddress.ip_network(name).prefixlen for name in named.keys() - {"unix"}), default=1)
    except ValueError:
        raise ValueError("has to be a list of networks without host bits, separated by commas") from None
    if not widest:
        raise ValueError("contains a network of all addresses, so that every client could claim any address")
    return tuple(named)


def destinations(text: str) -> tuple[str, ...]:
    """Networks, and hosts with or without a port."""
    named = dict.fromkeys(part.strip().lower() for part in text.split(","))
    for name in named:
        if "/" in name and not name.startswith(PLAIN):
            _refuse_bad_network(name)
        else:
            _refuse_bad_destination(name)
    return tuple(named)


def _refuse_bad_network(text: str) -> None:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("contains a network that is not valid or has host bits") from None
    if not network.prefixlen:
        raise ValueError("contains a network of all addresses")


def _refuse_bad_destination(text: str) -> None:
    try:
        webhook_destination_of(text if text.startswith(PLAIN) else f"https://{text}")
    except DestinationRefused:
        what = "has to be a list of networks and of hosts, with or without a port, separated by commas"
        raise ValueError(what) from None


def some_of(*names: str) -> Callable[[str], tuple[str, ...]]:
    """Some of these names, `all` of them, or `none`."""

    def read(text: str) -> tuple[str, ...]:
        if text.lower() in ("all", "none"):
            return names if text.lower() == "all" else ()
        wanted = dict.fromkeys(part.strip().lower() for part in text.split(","))
        if not wanted.keys() <= set(names):
            raise ValueError(f"has to be all, none, or some of {', '.join(names)}, separated by commas")
        return tuple(wanted)

    return read


def bearer(text: str) -> str:
    """A secret of at least 16 of the characters of a bearer token (RFC 6750)."""
    if not re.fullmatch(r"[A-Za-z0-9\-._~+/]{16,}=*", text):
        raise ValueError("has to be 16 or more letters, digits and -._~+/")
    return text
