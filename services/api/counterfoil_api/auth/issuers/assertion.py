"""A JWT as somebody presents it, before anything in it is believed: read strictly, so that it has one meaning."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from counterfoil_api.auth.issuers.strict_json import decoded
from counterfoil_api.http.errors import AssertionRefused

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""Signatures that are accepted; none of them can be made with a public key."""
LONGEST: Final = 16_384
_TYPES: Final = frozenset({"jwt", "at+jwt"})
_FORBIDDEN: Final = ("crit", "jku", "jwk", "x5u", "x5c", "cty", "b64", "enc", "zip")
"""Members of a header that name keys, or change how the JWT is read."""
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST_KID: Final = 512


@dataclass(frozen=True, slots=True, repr=False)
class Assertion:
    """The parts of a JWT; nothing is known yet of who wrote them."""

    algorithm: str
    kid: str | None
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes


def read(text: str) -> Assertion:
    """Take a JWT in its compact form apart, or raise AssertionRefused."""
    if len(text) > LONGEST:
        raise AssertionRefused(f"The JWT is longer than {LONGEST:,} characters.")
    if not _COMPACT.fullmatch(text):
        raise AssertionRefused("The subject_token is not a signed JWT: three parts in base64url, separated by dots.")
    signed, _, signature = text.rpartition(".")
    header, _, claims = signed.partition(".")
    algorithm, kid = _judged(_object(header))
    return Assertion(algorithm, kid, _object(claims), signed.encode(), _bytes(signature))


def _judged(header: Mapping[str, object]) -> tuple[str, str | None]:
    """Return the algorithm and the key's id that a header names, if it says nothing that must not be there."""
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if algorithm not in ALGORITHMS:
        raise AssertionRefused(f"The JWT has to be signed with one of {', '.join(ALGORITHMS)}.")
    if forbidden := [name for name in _FORBIDDEN if name in header]:
        raise AssertionRefused(f"The JWT's header must not have the member {forbidden[0]}.")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise AssertionRefused("The JWT has to be of the type JWT (the member typ of its header).")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_KID):
        raise AssertionRefused("The member kid of the JWT's header has to be a text that is not empty or very long.")
    return str(algorithm), kid


def _object(part: str) -> Mapping[str, object]:
    try:
        return decoded(_bytes(part))
    except ValueError as complaint:
        raise AssertionRefused(f"A part of the JWT cannot be read: {complaint}.") from None


def _bytes(part: str) -> bytes:
    """Decode base64url that has one spelling: without padding, and with no bits beyond the last byte."""
    try:
        found = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise AssertionRefused("A part of the JWT is not in base64url.") from None
    if base64.urlsafe_b64encode(found).decode().rstrip("=") != part:
        raise AssertionRefused("A part of the JWT is not in base64url as it has to be spelt.")
    return found
