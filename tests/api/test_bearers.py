"""Bearers: anybody can verify ours, and we accept no others."""

import base64
import hmac
import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from counterfoil.core.refusals import CredentialsRefused
from counterfoil.core.secret import stands_in
from counterfoil.logging import scrub
from counterfoil.uses.bearers import Claims, key_ring, public_jwk

ISSUER = "https://tokens.example.org"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
OLDER = ec.generate_private_key(ec.SECP256R1())
RING = key_ring(ISSUER, PRIVATE, (OLDER.public_key(),))
CLAIMS = Claims(
    iss=ISSUER, sub="crm", client_id="t1", aud="orders", iat=1_000, exp=4_600, jti="j1", scope="orders.read",
    account=UUID(int=1), token=UUID(int=2), generation=2,
)  # fmt: skip
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
HEADER = {"alg": "ES256", "kid": public_jwk(PRIVATE.public_key()).kid, "typ": "at+jwt"}


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def signed(header: dict[str, Any], key: ec.EllipticCurvePrivateKey = PRIVATE) -> str:
    """A bearer with any header and a valid signature."""
    message = f"{encoded(header)}.{encoded(msgspec.to_builtins(CLAIMS))}"
    r, s = decode_dss_signature(key.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
    signature = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=")
    return f"{message}.{signature.decode()}"


def mirrored(bearer: str) -> str:
    """The same bearer with the signature (r, n - s), which can be computed without the key."""
    message, _, signature = bearer.rpartition(".")
    raw = base64.urlsafe_b64decode(f"{signature}==")
    other = raw[:32] + (ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    return f"{message}.{base64.urlsafe_b64encode(other).decode().rstrip('=')}"


def test_the_claims_of_our_bearer_are_read_back() -> None:
    assert RING.claims_of(RING.sign(CLAIMS)) == CLAIMS


def test_only_one_signature_of_a_bearer_is_accepted() -> None:
    published = KeySet.import_key_set(json.loads(msgspec.json.encode({"keys": RING.jwks})))
    for _ in range(20):
        bearer = RING.sign(CLAIMS)
        assert RING.claims_of(bearer) == CLAIMS
        assert jwt.decode(mirrored(bearer), published, algorithms=["ES256"]).claims["jti"] == CLAIMS.jti
        with pytest.raises(CredentialsRefused):
            RING.claims_of(mirrored(bearer))


def test_our_bearers_are_found_in_any_text_and_kept_out_of_logs() -> None:
    bearer = RING.sign(CLAIMS)
    for context in ("{}", "see {}.", "x{}x", f"{bearer[:111]}{{}}", "cfl_user_" + "A" * 46 + "{}"):
        assert stands_in(context.format(bearer))
        assert bearer[-86:] not in scrub(context.format(bearer))


def test_another_library_verifies_our_bearers_with_the_published_keys() -> None:
    published = KeySet.import_key_set(json.loads(msgspec.json.encode({"keys": RING.jwks})))
    read = jwt.decode(RING.sign(CLAIMS), published, algorithms=["ES256"])
    assert read.claims == msgspec.to_builtins(CLAIMS)
    assert read.header == HEADER


def test_the_key_id_is_the_rfc_7638_thumbprint() -> None:
    assert HEADER["kid"] == ECKey.import_key(PRIVATE).thumbprint()


def test_a_retired_key_still_verifies_and_an_unknown_key_does_not() -> None:
    assert RING.claims_of(key_ring(ISSUER, OLDER).sign(CLAIMS)) == CLAIMS
    stranger = key_ring(ISSUER, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(CredentialsRefused):
        RING.claims_of(stranger.sign(CLAIMS))


def test_another_issuer_is_refused() -> None:
    other = key_ring("https://elsewhere.example.org", PRIVATE)
    with pytest.raises(CredentialsRefused):
        other.claims_of(RING.sign(CLAIMS))


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"}, {"alg": "HS256"}, {"alg": "ES384"}, {"typ": "JWT"}, {"kid": "other"}, {"jku": "https://x"},
        {"x5u": "https://x"}, {"jwk": {"kty": "EC"}}, {"crit": ["b64"], "b64": False},
    ],
)  # fmt: skip
def test_another_header_is_refused_even_with_a_valid_signature(change: dict[str, Any]) -> None:
    with pytest.raises(CredentialsRefused):
        RING.claims_of(signed({**HEADER, **change}))


def test_the_public_key_is_not_accepted_as_an_hmac_secret() -> None:
    pem = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    message = f"{encoded({**HEADER, 'alg': 'HS256'})}.{encoded(msgspec.to_builtins(CLAIMS))}"
    mac = base64.urlsafe_b64encode(hmac.digest(pem, message.encode(), "sha256")).rstrip(b"=")
    forged = f"{message}.{mac.decode()}"
    with pytest.raises(CredentialsRefused):
        RING.claims_of(forged)


@given(st.data())
def test_a_bearer_with_one_changed_character_is_refused(data: st.DataObject) -> None:
    bearer = RING.sign(CLAIMS)
    at = data.draw(st.integers(0, len(bearer) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_.=+/ é").filter(lambda c: c != bearer[at]))
    with pytest.raises(CredentialsRefused):
        RING.claims_of(bearer[:at] + other + bearer[at + 1 :])


@given(st.text(max_size=200))
def test_any_text_is_refused_without_a_crash(text: str) -> None:
    header = RING.sign(CLAIMS).partition(".")[0]
    for bearer in (text, f"{header}.{text}", f"{header}.{text}.", f"{header}..{text}"):
        with pytest.raises(CredentialsRefused):
            RING.claims_of(bearer)
