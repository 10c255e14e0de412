"""A trust: the issuer whose JWTs open a token in place of a secret, and the claims that they must have.

This module sees only the claims of a JWT whose signature was checked; neither the JWT nor its `jti` is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from counterfoil.core import glob, secret, text
from counterfoil.core.refusals import BadText, BadTrust, TrustRefused

CONDITION_LIMIT: Final = 20
VALUE_LIMIT: Final = 20
LEEWAY_SECONDS: Final = 60
"""An issuer's clock may be this far ahead of ours."""
LONGEST_SECONDS: Final = 25 * 3_600
"""A JWT that expires later than this from now is refused: a JWT is remembered until it expires."""
ISSUER: Final = r"^https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*$"
VISIBLE: Final = r"^[!-~]{1,255}$"
_RESERVED: Final = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})
_LITERAL: Final = re.compile(r"[^\W_]")
_GITHUB: Final = frozenset({"sub", "repository", "repository_id", "repository_owner", "repository_owner_id"})
_GITLAB: Final = frozenset({"sub", "project_path", "project_id", "namespace_path", "namespace_id"})
SHARED: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"https://token.actions.githubusercontent.com": _GITHUB, "https://gitlab.com": _GITLAB}
)
"""Issuers that sign JWTs for any customer, each with the claims that identify the customer."""


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer, an audience, and conditions: globs for each claim, one of which has to match.

    With `once` each JWT is accepted once.
    """

    issuer: str
    audience: str
    claims: dict[str, tuple[str, ...]]
    once: bool = False


class Assertion(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a JWT that this issuer signed for this audience. They may hold personal data."""

    issuer: str
    audience: str
    claims: dict[str, object]

    @property
    def digest(self) -> bytes | None:
        """The key under which the JWT is remembered; None if it has no `jti`."""
        jti = self.claims.get("jti")
        if not isinstance(jti, str) or not jti:
            return None
        return hashlib.sha256(f"{self.issuer}\n{jti}".encode("utf-8", "surrogatepass")).digest()


def checked_trust(trust: Trust) -> Trust:
    """Return the trust as given, or raise BadTrust."""
    if not re.fullmatch(ISSUER, trust.issuer) or len(trust.issuer) > text.NAME_LIMIT:
        raise BadTrust(
            "trust.issuer is the https URL that the JWT has as iss, without query or fragment, such as"
            " https://token.actions.githubusercontent.com.",
            field="trust.issuer",
        )
    if not re.fullmatch(VISIBLE, trust.audience):
        raise BadTrust(
            "trust.audience is what the JWT has as aud: 1 to 255 visible ASCII characters, such as the URL of this"
            " service.",
            field="trust.audience",
        )
    if not trust.claims or len(trust.claims) > CONDITION_LIMIT:
        raise BadTrust(
            f"trust.claims has 1 to {CONDITION_LIMIT} conditions, such as repository: acme/app. With none, everybody"
            " for whom this issuer signs could use the token.",
            field="trust.claims",
        )
    for name, values in trust.claims.items():
        _refuse_condition(name, values)
    if any(map(secret.stands_in, (trust.issuer, trust.audience, *trust.claims))):
        raise BadTrust("The trust contains the secret or a bearer of a token; remove it, and rotate that token.")
    _refuse_everybody(trust)
    return trust


def _refuse_condition(name: str, values: tuple[str, ...]) -> None:
    if name in _RESERVED or not re.fullmatch(VISIBLE, name):
        raise BadTrust(
            "A condition names a claim such as repository or sub: 1 to 255 visible ASCII characters, and none of"
            f" {', '.join(sorted(_RESERVED))}.",
            field="trust.claims",
        )
    if not 1 <= len(values) <= VALUE_LIMIT:
        raise BadTrust(f"trust.claims.{name} has 1 to {VALUE_LIMIT} values.", field="trust.claims")
    for value in values:
        try:
            kept = text.checked(f"trust.claims.{name}", value, text.NAME_LIMIT)
            read = glob.read(kept, field=f"trust.claims.{name}")
        except BadText as refusal:
            raise BadTrust(refusal.detail, field="trust.claims") from None
        if kept != value:
            raise BadTrust(f"trust.claims.{name} begins or ends with blanks; remove them.", field="trust.claims")
        if not _LITERAL.search(read.literal):
            raise BadTrust(
                f"trust.claims.{name} has a value that everything fits; write what it must be, or leave the claim out.",
                field="trust.claims",
            )


def _refuse_everybody(trust: Trust) -> None:
    """Refuse conditions that a stranger's JWT could satisfy too, if the issuer signs for any customer."""
    telling = SHARED.get(trust.issuer.rstrip("/"), frozenset())
    if telling and not any(name in telling and all(map(_is_of_one, trust.claims[name])) for name in trust.claims):
        raise BadTrust(
            f"{trust.issuer} signs for everybody: state whose JWT it has to be, by one of"
            f" {', '.join(sorted(telling))}, without a wildcard before the first /.",
            field="trust.claims",
        )


def _is_of_one(value: str) -> bool:
    """Say whether a condition names one project, or the projects of one owner."""
    read = glob.read(value, field="trust.claims")
    return "/" in read.prefix or read.is_exact


def matched(trust: Trust, claims: Mapping[str, object], at: datetime) -> dict[str, str]:
    """Return the claims that satisfied the conditions at this moment, and the `sub`; or raise TrustRefused."""
    if claims.get("iss") != trust.issuer or trust.audience not in _values(claims.get("aud")):
        raise TrustRefused("The JWT is of another issuer or for another audience than the token trusts.")
    _refuse_moment(claims, at)
    fitting = {name: _fitting(values, _claim(claims, name)) for name, values in trust.claims.items()}
    if wrong := [name for name, value in fitting.items() if value is None]:
        raise TrustRefused(
            f"The JWT does not meet the token's conditions on {', '.join(wrong[:5])}; compare its claims with the"
            " token's trust.",
            claims=wrong[:5],
        )
    decided = {name: value for name, value in fitting.items() if value is not None}
    subject = claims.get("sub")
    return decided if not isinstance(subject, str) or not _is_text(subject) else {"sub": subject, **decided}


def ends_of(claims: Mapping[str, object]) -> float:
    """Return when a JWT expires, in seconds since 1970; a JWT without an expiry counts as expired."""
    exp = claims.get("exp")
    return float(exp) if isinstance(exp, int | float) and not isinstance(exp, bool) else 0.0


def _refuse_moment(claims: Mapping[str, object], at: datetime) -> None:
    now, end = at.timestamp(), ends_of(claims)
    if end <= now:
        raise TrustRefused("The JWT has expired; request a new one.")
    if end > now + LONGEST_SECONDS:
        raise TrustRefused("The JWT is good for more than a day; request one that ends earlier.")
    begins = claims.get("nbf")
    if isinstance(begins, int | float) and begins > now + LEEWAY_SECONDS:
        raise TrustRefused("The JWT is not good yet; check the issuer's clock.")


def _claim(claims: Mapping[str, object], name: str) -> object:
    """Return a claim by its full name with dots, or by a path of names; the longest name is tried first."""
    if name in claims:
        return claims[name]
    end = name.rfind(".")
    while end > 0:
        inner = claims.get(name[:end])
        if isinstance(inner, Mapping) and (found := _claim(inner, name[end + 1 :])) is not None:
            return found
        end = name.rfind(".", 0, end)
    return None


def _fitting(wanted: Iterable[str], claim: object) -> str | None:
    """Return the first value of a claim that one of the globs matches."""
    globs = [glob.read(value, field="trust.claims") for value in wanted]
    return next((value for value in _values(claim) if _is_text(value) and any(g.matches(value) for g in globs)), None)


def _values(claim: object) -> list[str]:
    return [
        spelled for one in (claim if isinstance(claim, list) else [claim]) if (spelled := _text_of(one)) is not None
    ]


def _text_of(value: object) -> str | None:
    """Return a value as conditions spell it: true, false, a whole number, or the text itself."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 2**63 else None
    return value if isinstance(value, str) else None


def _is_text(value: str) -> bool:
    """Say whether a value may stand in the log as it is."""
    try:
        return text.checked("claim", value, text.REASON_LIMIT) == value
    except BadText:
        return False
