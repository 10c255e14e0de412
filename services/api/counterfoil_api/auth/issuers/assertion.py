"""A presented JWT, not yet verified: it is read strictly, so that it has exactly one meaning."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from counterfoil_api.auth.issuers.strict_json import decoded
from counterfoil_api.http.errors import AssertionRefused

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""The accepted signature algorithms; none can be forged with a public key."""
LONGEST: Final = 16_384
_TYPES: Final = frozenset({"jwt", "at+jwt"})
_FORBIDDEN: Final = ("crit", "jku", "jwk", "x5u", "x5c", "cty", "b64", "enc", "zip")
"""Members of a header that name keys or change how the JWT is read; they are refused."""
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST_KID: Final = 512


@dataclass(frozen=True, slots=True, repr=False)
class Assertion:
    """The parts of a JWT; its author is not known yet."""

    algorithm: str
    kid: str | None
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes


def read(text: str) -> Assertion:
    """Split a JWT in compact form into its parts, or raise AssertionRefused."""
    if len(text) > LONGEST:
        raise AssertionRefused(f"The JWT is longer than {LONGEST:,} characters.")
    if not _COMPACT.fullmatch(text):
        raise AssertionRefused("The subject_token is not a signed JWT: three parts in base64url, separated by dots.")
    signed, _, signature = text.rpartition(".")
    header, _, claims = signed.partition(".")
    algorithm, kid = _checked_header(_object(header))
    return Assertion(algorithm, kid, _object(claims), signed.encode(), _bytes(signature))


def _checked_header(header: Mapping[str, object]) -> tuple[str, str | None]:
    """Return the algorithm and the key id of a header; refuse a header with forbidden members."""
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
    except ValueError as error:
        raise AssertionRefused(f"A part of the JWT cannot be read: {error}.") from None


def _bytes(part: str) -> bytes:
    """Decode base64url in its one canonical form: without padding, and without bits beyond the last byte."""
    try:
        found = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise AssertionRefused("A part of the JWT is not in base64url.") from None
    if base64.urlsafe_b64encode(found).decode().rstrip("=") != part:
        raise AssertionRefused("A part of the JWT is not in base64url as it has to be spelt.")
    return found
