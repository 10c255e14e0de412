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
# A signature is r and s, 64 bytes: its last base64 character carries two bits, and the other four are zero.
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]{85}[AQgw])")
_ORDER: Final = 0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551
"""Of P-256 (SEC 2, 2.4.2)."""


class Act(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token that acts on behalf of a bearer's subject (RFC 8693 4.1), and in `act` the one that did so before it."""

    sub: str
    client_id: UUID
    generation: int
    act: "Act | None" = None


def chain(act: Act | None) -> Iterator[Act]:
    """Everybody who acts, the present one first."""
    while act is not None:
        yield act
        act = act.act


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a bearer says of itself (RFC 9068 2.2), and which generation of which token bought it."""

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
        """For whom the bearer is."""
        return (self.aud,) if isinstance(self.aud, str) else self.aud

    @property
    def expires_at(self) -> datetime:
        """When it ends."""
        return datetime.fromtimestamp(self.exp, UTC)


class PublicJwk(msgspec.Struct, frozen=True):
    """A verification key, as RFC 7517 publishes it."""

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
    """One key signs; it, its predecessors and the one to come verify, each found by the header of what it signs.

    `version` is that of the subject which says so.
    """

    issuer: str
    signing: ECKey
    header: Mapping[str, str]
    verifying: Mapping[str, ECKey]
    version: int = 0

    def sign(self, claims: Claims) -> str:
        """Return the bearer that makes these claims."""
        return _low(jws.serialize_compact(dict(self.header), _encode(claims), self.signing, registry=_RULES))

    def claims_of(self, text: str) -> Claims:
        """Return the claims of a bearer that we signed, or raise `CredentialsRefused`.

        Whether its time has passed is for the database's clock to say, like everything about expiry.
        """
        # We are the only issuer, so a header of ours is one of a few texts that we know. Every other alg, typ, kid,
        # jku, x5u, jwk or crit is refused without ever being parsed.
        shape = _SHAPE.fullmatch(text)
        key = self.verifying.get(shape[1]) if shape else None
        # Where (r, s) is a signature, (r, n - s) is one as well, and anybody can write it. We sign with the lower s and
        # accept no other, so that one bearer has one spelling.
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
        """Say whether a key of which we have not heard yet may have signed a bearer: its form is that of ours."""
        first = header_of(text)
        return len(first) == len(next(iter(self.verifying))) and _SHAPE.fullmatch(text) is not None

    @property
    def jwks(self) -> list[PublicJwk]:
        """Every key that still verifies."""
        return [_published(key) for key in self.verifying.values()]


def header_of(text: str) -> str:
    """Return the part of a bearer that names its key, and is the same in all that this key has signed."""
    return text.partition(".")[0]


def key_ring(
    issuer: str,
    signing: ec.EllipticCurvePrivateKey,
    others: tuple[ec.EllipticCurvePublicKey, ...] = (),
    *,
    version: int = 0,
) -> KeyRing:
    """Return the ring around one signing key and the others that verify."""
    own = ECKey.import_key(signing)
    keys = [ECKey.import_key(public) for public in (signing.public_key(), *others)]
    return KeyRing(issuer, own, _header(own), {_first_part(key, signer=own): key for key in keys}, version)


def public_key(jwk: Mapping[str, str]) -> ec.EllipticCurvePublicKey:
    """Return the key in its published form."""
    x, y = (int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "="), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def public_jwk(public: ec.EllipticCurvePublicKey) -> PublicJwk:
    """Return how a key is published; its id is the thumbprint of RFC 7638."""
    return _published(ECKey.import_key(public))


def _published(key: ECKey) -> PublicJwk:
    numbers = key.as_dict(private=False)
    return PublicJwk(key.thumbprint(), str(numbers["x"]), str(numbers["y"]))


def _low(text: str) -> str:
    """Return a bearer with the lower one of the two values of s that its signature may have."""
    message, _, signature = text.rpartition(".")
    s = _s_of(signature)
    raw = base64.urlsafe_b64decode(f"{signature}==")[:32] + min(s, _ORDER - s).to_bytes(32, "big")
    return f"{message}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"


def _s_of(signature: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(f"{signature}==")[32:], "big")


def _header(key: ECKey) -> dict[str, str]:
    return {"alg": "ES256", "kid": key.thumbprint(), "typ": "at+jwt"}


def _first_part(key: ECKey, *, signer: ECKey) -> str:
    """Return the header of every bearer that this key signed, as it stands in them."""
    return jws.serialize_compact(_header(key), b"", signer, registry=_RULES).partition(".")[0]
