"""The keys that an issuer publishes (RFC 7517), and the verification of a JWT with them."""

from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from counterfoil_api.auth.issuers.assertion import ALGORITHMS, Assertion
from counterfoil_api.auth.issuers.strict_json import decoded

MOST_KEYS: Final = 100
_RSA_BITS: Final = range(2_048, 8_193)
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519"}
_KINDS: Final = {"R": "RSA", "P": "RSA", "E": "EC"}

Key = RSAKey | ECKey | OKPKey
_KEYS: Final[Mapping[str, type[Key]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_PARTS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key, its id, and the algorithms that it may be used with."""

    kid: str | None
    algorithms: frozenset[str]
    key: Key

    def signed(self, assertion: Assertion) -> bool:
        """Say whether this key made the signature."""
        algorithm = JWSRegistry.algorithms[assertion.algorithm]
        try:
            return algorithm.verify(assertion.signed, assertion.signature, self.key)
        except (JoseError, ValueError):
            return False


@dataclass(frozen=True, slots=True)
class KeySet:
    """All usable keys of an issuer."""

    keys: tuple[PublishedKey, ...]

    def candidates(self, assertion: Assertion) -> tuple[PublishedKey, ...]:
        """Return the keys that may have signed a JWT; if it names no key, exactly one key must fit."""
        fit = tuple(key for key in self.keys if assertion.algorithm in key.algorithms)
        if assertion.kid is not None:
            return tuple(key for key in fit if key.kid == assertion.kid)
        return fit if len(fit) == 1 else ()

    def signed(self, assertion: Assertion) -> bool:
        """Say whether one of these keys has signed a JWT."""
        return any(key.signed(assertion) for key in self.candidates(assertion))


def key_set_of(content: bytes) -> KeySet:
    """Read a JWK Set and leave out its unusable keys; raises ValueError if it is not a JWK Set."""
    found = decoded(content).get("keys")
    if not isinstance(found, list) or len(found) > MOST_KEYS:
        raise ValueError(f"it has no list of at most {MOST_KEYS} keys")
    return KeySet(tuple(_published(found)))


def _published(found: list[object]) -> Iterator[PublishedKey]:
    for jwk in found:
        if not isinstance(jwk, dict) or not _for_signatures(jwk):
            continue
        kid = jwk.get("kid")
        if (algorithms := _algorithms(jwk)) and (kid is None or isinstance(kid, str)) and (key := _imported(jwk)):
            yield PublishedKey(kid, algorithms, key)


def _for_signatures(jwk: Mapping[str, object]) -> bool:
    """Say whether a key is for signatures; a key whose private part was published is not trusted."""
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and not _PRIVATE & jwk.keys()
    )


def _algorithms(jwk: Mapping[str, object]) -> frozenset[str]:
    kind, curve, named = jwk.get("kty"), jwk.get("crv"), jwk.get("alg")
    fit = {each for each in ALGORITHMS if _kind(each) == kind and _CURVES.get(each, curve) == curve}
    return frozenset(fit if named is None else {each for each in fit if each == named})


def _kind(algorithm: str) -> str:
    return "OKP" if algorithm == "EdDSA" else _KINDS[algorithm[0]]


def _imported(jwk: Mapping[str, object]) -> Key | None:
    """Import the members of the key itself, and nothing else that its issuer added; a weak key is not used."""
    kind = str(jwk["kty"])
    try:
        if kind == "RSA" and _bits(str(jwk["n"])) not in _RSA_BITS:
            return None
        parts: dict[str, str | list[str]] = {name: str(jwk[name]) for name in _PARTS[kind]}
        return _KEYS[kind].import_key(parts)
    except (JoseError, KeyError, ValueError):
        return None


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number + "=="), "big").bit_length()
