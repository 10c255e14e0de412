"""Names of credentials: a hash for one process, and a keyed digest for all processes. Neither leads to a secret."""

from counterfoil.core.credentials import BearerGiven, Given
from counterfoil.core.secret import Peppers


def plain_hash(given: Given) -> int:
    """Return the name of credentials within this process: Python's own hash, which is keyed per process."""
    return hash(_text(given))


def digest_of(peppers: Peppers, given: Given) -> bytes:
    """Return a keyed digest that stays the same whichever pepper signs; the database never holds it."""
    return peppers.hmac(b"credentials", _text(given).encode())


def _text(given: Given) -> str:
    """Return one text for each credential; all form encodings of one client's secret have the same text."""
    if isinstance(given, BearerGiven):
        return given.text
    return given.plain if given.raw is None else f"{given.client} {given.plain}"
