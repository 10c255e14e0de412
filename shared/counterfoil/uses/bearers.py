"""Bearers: JWTs of RFC 9068 under ES256, signed and verified by joserfc."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from counterfoil.core.refusals import CredentialsRefused

_RULES = jws.JWSRegistry(algorithms=["ES256"])
# A signature is r and s, 64 bytes: its last base64 character carries two bits; its other four are zero.
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]{85}[AQgw])")
_ORDER: Final = 0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551
"""The order of P-256 (SEC 2, 2.4.2)."""


class Act(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token that acts on behalf of a bearer's subject (RFC 8693 4.1); `act` is the one that acted before it."""

    sub: str
    client_id: UUID
    generation: int
    act: "Act | None" = None


def chain(act: Act | None) -> Iterator[Act]:
    """Yield every token that acts, the current one first."""
    while act is not None:
        yield act
        act = act.act


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """The claims of a bearer (RFC 9068 2.2), and the generation and token that it was issued for."""

    iss: str
    sub: str
    client_id: str
    aud: str | tuple[str, ...]
    iat: int
    exp: int
    jti: str
    scope: str
    account: UUID
    token: UUID
    generation: int
    act: Act | None = None

    @property
    def audiences(self) -> tuple[str, ...]:
        """The APIs that the bearer is for."""
        return (self.aud,) if isinstance(self.aud, str) else self.aud

    @property
    def expires_at(self) -> datetime:
        """When the bearer expires."""
        return datetime.fromtimestamp(self.exp, UTC)


class PublicJwk(msgspec.Struct, frozen=True):
    """A verification key in the form of RFC 7517."""

    kid: str
    x: str
    y: str
    kty: str = "EC"
    crv: str = "P-256"
    alg: str = "ES256"
    use: str = "sig"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Claims).decode


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """One key signs. It, its predecessors and its successor verify; each is found by the header of its bearers.

    `version` is that of the ring's subject.
    """

    issuer: str
    signing: ECKey
    header: Mapping[str, str]
    verifying: Mapping[str, ECKey]
    version: int = 0

    def sign(self, claims: Claims) -> str:
        """Return a bearer with these claims."""
        return _low(jws.serialize_compact(dict(self.header), _encode(claims), self.signing, registry=_RULES))

    def claims_of(self, text: str) -> Claims:
        """Return the claims of a bearer that we signed, or raise `CredentialsRefused`.

        Whether its time has passed is for the database's clock to say, like everything about expiry.
        """
        # We are the only issuer, so a valid header is one of a few known texts. Every other alg, typ, kid, jku, x5u,
        # jwk or crit is refused without being parsed.
        shape = _SHAPE.fullmatch(text)
        key = self.verifying.get(shape[1]) if shape else None
        # If (r, s) is a signature, so is (r, n - s), and anybody can compute it. We sign with the lower s and accept
        # no other, so that each bearer has exactly one text.
        if shape is None or key is None or 2 * _s_of(shape[2]) > _ORDER:
            raise CredentialsRefused
        try:
            claims = _decode(jws.deserialize_compact(text, key, registry=_RULES).payload)
        except (JoseError, msgspec.MsgspecError):
            raise CredentialsRefused from None
        if claims.iss != self.issuer:
            raise CredentialsRefused
        return claims

    def knows(self, text: str) -> bool:
        """Say whether one of these keys may have signed a bearer."""
        return header_of(text) in self.verifying

    def may_know(self, text: str) -> bool:
        """Say whether a key that this process does not know yet may have signed a bearer: it has the form of ours."""
        first = header_of(text)
        return len(first) == len(next(iter(self.verifying))) and _SHAPE.fullmatch(text) is not None

    @property
    def jwks(self) -> list[PublicJwk]:
        """The keys that still verify, as they are published."""
        return [_published(key) for key in self.verifying.values()]


def header_of(text: str) -> str:
    """Return the part of a bearer that names its key; it is the same in every bearer of that key."""
    return text.partition(".")[0]


def key_ring(
    issuer: str,
    signing: ec.EllipticCurvePrivateKey,
    others: tuple[ec.EllipticCurvePublicKey, ...] = (),
    *,
    version: int = 0,
) -> KeyRing:
    """Return the ring of one signing key and the other keys that verify."""
    own = ECKey.import_key(signing)
    keys = [ECKey.import_key(public) for public in (signing.public_key(), *others)]
    return KeyRing(issuer, own, _header(own), {_first_part(key, signer=own): key for key in keys}, version)


def public_key(jwk: Mapping[str, str]) -> ec.EllipticCurvePublicKey:
    """Return the key of a published form."""
    x, y = (int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "="), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def public_jwk(public: ec.EllipticCurvePublicKey) -> PublicJwk:
    """Return the published form of a key; its id is the thumbprint of RFC 7638."""
    return _published(ECKey.import_key(public))


def _published(key: ECKey) -> PublicJwk:
    numbers = key.as_dict(private=False)
    return PublicJwk(key.thumbprint(), str(numbers["x"]), str(numbers["y"]))


def _low(text: str) -> str:
    """Return a bearer with the lower of the two possible values of s in its signature."""
    message, _, signature = text.rpartition(".")
    s = _s_of(signature)
    raw = base64.urlsafe_b64decode(f"{signature}==")[:32] + min(s, _ORDER - s).to_bytes(32, "big")
    return f"{message}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"


def _s_of(signature: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(f"{signature}==")[32:], "big")


def _header(key: ECKey) -> dict[str, str]:
    return {"alg": "ES256", "kid": key.thumbprint(), "typ": "at+jwt"}


def _first_part(key: ECKey, *, signer: ECKey) -> str:
    """Return the encoded header of every bearer that this key signs."""
    return jws.serialize_compact(_header(key), b"", signer, registry=_RULES).partition(".")[0]
