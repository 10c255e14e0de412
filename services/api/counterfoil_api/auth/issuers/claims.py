"""The conditions for the claims of a JWT whose signature is good."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from counterfoil_api.http.errors import AssertionRefused

LEEWAY_SECONDS: Final = 60
"""The seconds by which an issuer's clock may be ahead of ours; the expiry of a JWT is exact."""
LONGEST_LIFETIME_SECONDS: Final = 86_400
_LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""
_LONGEST_ID: Final = 1_024


def checked(claims: Mapping[str, object], *, issuer: str, audience: str, at: datetime) -> Mapping[str, object]:
    """Return the claims if they are of this issuer, for this audience, and good at this moment.

    Raises AssertionRefused, which names the claim and what is expected of it, never what it says.
    """
    if claims.get("iss") != issuer:
        raise AssertionRefused(f"The JWT's claim iss has to be exactly {issuer}.")
    if audience not in _audiences(claims.get("aud")):
        raise AssertionRefused(f"The JWT's claim aud has to contain {audience}.")
    if "events" in claims:
        raise AssertionRefused("The JWT is a message about events (it has the claim events), and proves nobody.")
    for name in ("sub", "jti"):
        _refuse_bad_id(claims, name)
    _refuse_bad_times(claims, at.timestamp())
    return claims


def _audiences(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    # A member that is not text makes the meaning of the whole claim unknown.
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return ()


def _refuse_bad_id(claims: Mapping[str, object], name: str) -> None:
    value = claims.get(name, None if name == "sub" else "absent")
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        raise AssertionRefused(f"The JWT's claim {name} has to be a text of 1 to {_LONGEST_ID:,} characters.")


def _refuse_bad_times(claims: Mapping[str, object], at: float) -> None:
    issued, ends = _time(claims, "iat"), _time(claims, "exp")
    begins = _time(claims, "nbf") if "nbf" in claims else issued
    # The exact instant of expiry is already too late.
    if ends <= at:
        raise AssertionRefused("The JWT has expired (claim exp); get a new one.")
    for name, moment in (("iat", issued), ("nbf", begins)):
        if moment > at + LEEWAY_SECONDS:
            raise AssertionRefused(f"The JWT is not valid yet (claim {name}); check the issuer's clock.")
    if ends - issued > LONGEST_LIFETIME_SECONDS:
        raise AssertionRefused("The JWT has to live for at most 24 hours (claims iat and exp).")


def _time(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LATEST:
        raise AssertionRefused(f"The JWT's claim {name} has to be there, as a whole number of seconds since 1970.")
    return value
