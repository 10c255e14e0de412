"""JWTs that each differ in one detail from one that is accepted."""

import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OKPKey

from api.oidc_issuer import AUDIENCE, OidcIssuer, SigningKey, b64, part

AT = int(time.time())
_P256_ORDER = 0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551
_WEAK = rsa.generate_private_key(65_537, 1_024)
_OTHER = rsa.generate_private_key(65_537, 2_048)  # one for all others, since making one takes long
_OTHERS = [SigningKey(_OTHER, kid) for kid in ("enc", "wrap", "leaked", "rs512")]
_EC = ec.generate_private_key(ec.SECP256R1())
_ED = ed25519.Ed25519PrivateKey.generate()
_STRANGER = SigningKey(_OTHER, "first")
_ONE = "AQ"

Signer = Callable[[str], bytes]


def _der(signed: str) -> bytes:
    return _EC.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))


def _raw(signed: str, *, high: bool | None = None) -> bytes:
    r, s = decode_dss_signature(_der(signed))
    if high is not None and (2 * s > _P256_ORDER) is not high:
        s = _P256_ORDER - s
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def published(issuer: OidcIssuer) -> list[dict[str, object]]:
    """The key set of an issuer with every kind of key, and some that it should not publish."""
    enc, wrap, leaked, rs512 = (key.jwk for key in _OTHERS)
    signs: dict[str, object] = {"use": "sig"}
    return [
        issuer.key.jwk,
        enc | {"use": "enc"},
        wrap | {"key_ops": ["wrapKey"]},
        leaked | {"d": _ONE},
        rs512 | {"alg": "RS512"},
        SigningKey(_WEAK, "weak").jwk,
        issuer.key.jwk | {"kid": "one", "e": _ONE},
        issuer.key.jwk | {"kid": "the first again"},
        signs | {"kty": "oct", "k": b64(b"k" * 32), "kid": "shared", "alg": "HS256"},
        signs | dict(ECKey.import_key(_EC.public_key()).as_dict(private=False)) | {"kid": "ec"},
        signs | dict(OKPKey.import_key(_ED.public_key()).as_dict(private=False)) | {"kid": "ed"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"}, {"kty": "new", "kid": "new"},
    ]  # fmt: skip


@dataclass
class Maker:
    """Makes JWTs of one issuer: the accepted one with one change."""

    issuer: OidcIssuer
    header: dict[str, object] = field(default_factory=dict)
    claims: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.header = {"alg": "RS256", "kid": "first", "typ": "JWT"}
        self.claims = self.issuer.claims(iat=AT, nbf=AT, exp=AT + 300)

    def plain(self, key: SigningKey | None = None) -> str:
        header, claims = (
            {name: value for name, value in each.items() if value is not ...} for each in (self.header, self.claims)
        )
        return (key or self.issuer.key).sign(header, claims)

    def with_header(self, key: SigningKey | None = None, **more: object) -> str:
        self.header |= more
        return self.plain(key)

    def with_claims(self, **more: object) -> str:
        self.claims |= more
        return self.plain()

    def with_text(self, claims: bytes) -> str:
        return self.issuer.key.sign(self.header, claims)

    def signed_by(self, sign: Callable[[str], bytes], **header: object) -> str:
        signed = f"{part(self.header | header)}.{part(self.claims)}"
        return f"{signed}.{b64(sign(signed))}"

    def mac(self, key: bytes, **header: object) -> str:
        return self.signed_by(lambda signed: hmac.digest(key, signed.encode(), "sha256"), alg="HS256", **header)

    def duplicate(self, member: str) -> bytes:
        return json.dumps(self.claims).encode()[:-1] + f",{member}}}".encode()

    def rsa(self, private: rsa.RSAPrivateKey, hashed: hashes.HashAlgorithm, *, salt: int | None = None) -> Signer:
        pad = padding.PKCS1v15() if salt is None else padding.PSS(padding.MGF1(hashed), salt)
        return lambda signed: private.sign(signed.encode(), pad, hashed)


def _pem(maker: Maker) -> bytes:
    return maker.issuer.key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _end(text: str, change: Callable[[str], str]) -> str:
    head, dot, tail = text.rpartition(".")
    return head + dot + change(tail)


def _json_form(text: str, *, general: bool) -> str:
    protected, payload, signature = text.split(".")
    one = {"protected": protected, "signature": signature}
    return json.dumps({"payload": payload, "signatures": [one, one]} if general else {"payload": payload, **one})


def _spare_bits(signature: str) -> str:
    """Another spelling of the same bytes: 256 bytes leave four bits of the last character unused."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]


def _unchanged_but(text: str, at: int, value: object) -> str:
    parts = text.split(".")
    parts[at] = part(value)
    return ".".join(parts)


JKU = "https://127.0.0.1:1/keys"

CONTROLS: dict[str, Callable[[Maker], str]] = {
    "the one that all others differ from": Maker.plain,
    "no typ": lambda a: a.with_header(typ=...),
    "typ in other letters": lambda a: a.with_header(typ="application/at+JWT"),
    "a thumbprint beside the kid": lambda a: a.with_header(x5t="abc"),
    "aud with ours among others": lambda a: a.with_claims(aud=["https://other.example", AUDIENCE]),
    "no nbf, no jti": lambda a: a.with_claims(nbf=..., jti=...),
    "a clock that is a minute ahead": lambda a: a.with_claims(iat=AT + 60, nbf=AT + 60),
    "a second before its end": lambda a: a.with_claims(iat=AT - 600, exp=AT + 1),
    "24 hours": lambda a: a.with_claims(exp=AT + 86_400),
    "RS512": lambda a: a.signed_by(a.rsa(_OTHERS[3].private, hashes.SHA512()), alg="RS512", kid="rs512"),
    "ES256": lambda a: a.signed_by(_raw, alg="ES256", kid="ec"),
    "ES256 with the lower s": lambda a: a.signed_by(lambda text: _raw(text, high=False), alg="ES256", kid="ec"),
    "ES256 with the higher s": lambda a: a.signed_by(lambda text: _raw(text, high=True), alg="ES256", kid="ec"),
    "no kid where one key fits": lambda a: a.signed_by(_raw, alg="ES256", kid=None),
    "EdDSA": lambda a: a.signed_by(lambda text: _ED.sign(text.encode()), alg="EdDSA", kid="ed"),
}  # fmt: skip

FORGED: dict[str, Callable[[Maker], str]] = {
    # Algorithms
    "alg none without a signature": lambda a: f"{part(a.header | {'alg': 'none'})}.{part(a.claims)}.",
    "alg none": lambda a: a.with_header(alg="none"),
    "alg NoNe": lambda a: a.with_header(alg="NoNe"),
    "HS256 with the public key": lambda a: a.mac(_pem(a)),
    "HS256 with the public key's modulus": lambda a: a.mac(str(a.issuer.key.jwk["n"]).encode()),
    "HS256 with a key that is published": lambda a: a.mac(b"k" * 32, kid="shared"),
    "no alg": lambda a: a.with_header(alg=...),
    "alg is a list": lambda a: a.with_header(alg=["RS256"]),
    "alg in small letters": lambda a: a.with_header(alg="rs256"),
    "RS1": lambda a: a.signed_by(a.rsa(a.issuer.key.private, hashes.SHA1()), alg="RS1"),
    "RS256 that is signed with SHA-1": lambda a: a.signed_by(a.rsa(a.issuer.key.private, hashes.SHA1())),
    "PS256 for a key of RS256": lambda a: a.signed_by(
        a.rsa(a.issuer.key.private, hashes.SHA256(), salt=32), alg="PS256"
    ),
    "RS512 for a key of RS256": lambda a: a.signed_by(a.rsa(a.issuer.key.private, hashes.SHA512()), alg="RS512"),
    # Keys
    "another key by the same kid": lambda a: a.plain(_STRANGER),
    "an unknown kid": lambda a: a.with_header(kid="third"),
    "an unknown kid of an unknown key": lambda a: a.with_header(_STRANGER, kid="third"),
    "no kid where several keys fit": lambda a: a.with_header(kid=...),
    "an empty kid": lambda a: a.with_header(kid=""),
    "kid is a number": lambda a: a.with_header(kid=1),
    "the kid of another key": lambda a: a.with_header(kid="rs512"),
    "a key for encryption": lambda a: a.with_header(_OTHERS[0], kid="enc"),
    "a key for wrapping": lambda a: a.with_header(_OTHERS[1], kid="wrap"),
    "a key whose private part is published": lambda a: a.with_header(_OTHERS[2], kid="leaked"),
    "a key of RS512": lambda a: a.with_header(_OTHERS[3], kid="rs512"),
    "RSA of 1,024 bits": lambda a: a.with_header(SigningKey(_WEAK, "weak"), kid="weak"),
    "RSA with the exponent 1": lambda a: a.signed_by(_by_exponent_one, kid="one"),
    "an EC key for RS256": lambda a: a.signed_by(_raw, kid="ec"),
    "an RSA key for ES256": lambda a: a.with_header(alg="ES256"),
    "a P-256 key for ES384": lambda a: a.signed_by(_raw, alg="ES384", kid="ec"),
    "an Ed25519 key for ES256": lambda a: a.signed_by(lambda text: _ED.sign(text.encode()), alg="ES256", kid="ed"),
    # Headers
    "jku, signed by whoever is there": lambda a: a.with_header(_STRANGER, jku=JKU),
    "jku": lambda a: a.with_header(jku=JKU),
    "x5u": lambda a: a.with_header(x5u=JKU),
    "x5c": lambda a: a.with_header(x5c=["MIIB"]),
    "jwk, signed by its key": lambda a: a.with_header(_STRANGER, jwk=_STRANGER.jwk),
    "jwk": lambda a: a.with_header(jwk=a.issuer.key.jwk),
    "crit": lambda a: a.with_header(crit=["exp"]),
    "crit that is empty": lambda a: a.with_header(crit=[]),
    "b64": lambda a: a.with_header(b64=False),
    "zip": lambda a: a.with_header(zip="DEF"),
    "a JWT in a JWT": lambda a: a.issuer.key.sign(a.header | {"cty": "JWT"}, a.plain().encode()),
    "cty": lambda a: a.with_header(cty="JWT"),
    "the type of a logout": lambda a: a.with_header(typ="logout+jwt"),
    "typ is a list": lambda a: a.with_header(typ=["JWT"]),
    "alg twice": lambda a: a.issuer.key.sign(
        b'{"alg":"none","alg":"RS256","kid":"first","typ":"JWT"}', a.claims
    ),
    "a header that is a list": lambda a: a.issuer.key.sign([a.header], a.claims),
    # Claims
    "iss with a slash": lambda a: a.with_claims(iss=a.issuer.url + "/"),
    "iss in capitals": lambda a: a.with_claims(iss=a.issuer.url.upper()),
    "iss of another": lambda a: a.with_claims(iss="https://evil.example"),
    "iss is a list": lambda a: a.with_claims(iss=[a.issuer.url]),
    "no iss": lambda a: a.with_claims(iss=...),
    "aud of another": lambda a: a.with_claims(aud="https://other.example"),
    "aud with a slash": lambda a: a.with_claims(aud=AUDIENCE + "/"),
    "aud without ours": lambda a: a.with_claims(aud=["https://other.example", AUDIENCE + ".evil.example"]),
    "an empty aud": lambda a: a.with_claims(aud=[]),
    "aud in a list in a list": lambda a: a.with_claims(aud=[[AUDIENCE]]),
    "aud with a number": lambda a: a.with_claims(aud=[AUDIENCE, 1]),
    "aud is an object": lambda a: a.with_claims(aud={AUDIENCE: True}),
    "no aud": lambda a: a.with_claims(aud=...),
    "no sub": lambda a: a.with_claims(sub=...),
    "an empty sub": lambda a: a.with_claims(sub=""),
    "sub is a number": lambda a: a.with_claims(sub=7),
    "jti is a number": lambda a: a.with_claims(jti=7),
    "an empty jti": lambda a: a.with_claims(jti=""),
    "jti is null": lambda a: a.with_claims(jti=None),
    "a message about events": lambda a: a.with_claims(events={}),
    "sub twice": lambda a: a.with_text(a.duplicate('"sub":"somebody else"')),
    "a member twice further inside": lambda a: a.with_text(a.duplicate('"more":{"a":1,"a":2}')),
    # Times
    "expired": lambda a: a.with_claims(iat=AT - 600, exp=AT - 1),
    "expired this very second": lambda a: a.with_claims(iat=AT - 600, exp=AT),
    "no exp": lambda a: a.with_claims(exp=...),
    "exp is null": lambda a: a.with_claims(exp=None),
    "exp is a text": lambda a: a.with_claims(exp=str(AT + 300)),
    "exp is a fraction": lambda a: a.with_claims(exp=AT + 300.5),
    "exp is true": lambda a: a.with_claims(exp=True),
    "exp is endless": lambda a: a.with_text(a.duplicate('"x":1').replace(str(AT + 300).encode(), b"1e999")),
    "exp after all years": lambda a: a.with_claims(iat=10**15, exp=10**15 + 1),
    "nbf in two minutes": lambda a: a.with_claims(nbf=AT + 120),
    "nbf is a text": lambda a: a.with_claims(nbf=str(AT)),
    "iat in two minutes": lambda a: a.with_claims(iat=AT + 120),
    "iat below zero": lambda a: a.with_claims(iat=-1),
    "iat is a fraction": lambda a: a.with_claims(iat=AT + 0.5),
    "no iat": lambda a: a.with_claims(iat=...),
    "more than 24 hours": lambda a: a.with_claims(exp=AT + 86_401),
    "a year": lambda a: a.with_claims(exp=AT + 31_536_000),
    # Signatures
    "a signature in DER": lambda a: a.signed_by(_der, alg="ES256", kid="ec"),
    "a signature of zeros": lambda a: a.signed_by(lambda _: bytes(64), alg="ES256", kid="ec"),
    "the signature of another JWT": lambda a: _end(
        a.plain(), lambda _: a.with_claims(sub="another").rpartition(".")[2]
    ),
    "half a signature": lambda a: _end(a.plain(), lambda tail: tail[: len(tail) // 8 * 4]),
    "no signature": lambda a: _end(a.plain(), lambda _: ""),
    "another sub under the same signature": lambda a: _unchanged_but(a.plain(), 1, a.claims | {"sub": "admin"}),
    "another header under the same signature": lambda a: _unchanged_but(a.plain(), 0, a.header | {"typ": "at+jwt"}),
    # Spelling
    "padding": lambda a: a.plain() + "==",
    "spare bits": lambda a: _end(a.plain(), _spare_bits),
    "a character beside the alphabet": lambda a: a.plain() + "!",
    "the other alphabet": lambda a: a.signed_by(_raw).replace("-", "+").replace("_", "/") + "+",
    "a blank behind it": lambda a: a.plain() + " ",
    "a line's end behind it": lambda a: a.plain() + "\n",
    "a blank before it": lambda a: " " + a.plain(),
    "a line's end in it": lambda a: _end(a.plain(), lambda tail: tail[:100] + "\n" + tail[100:]),
    "Bearer before it": lambda a: f"Bearer {a.plain()}",
    "a fourth part": lambda a: a.plain() + ".AA",
    "a dot behind it": lambda a: a.plain() + ".",
    "encrypted": lambda _: ".".join([part({"alg": "RSA-OAEP", "enc": "A256GCM"}), *["AAAA"] * 4]),
    "the JSON form": lambda a: _json_form(a.plain(), general=False),
    "two signatures": lambda a: _json_form(a.plain(), general=True),
    "nothing": lambda _: "",
    "two dots": lambda _: "..",
    "longer than 16 kB": lambda a: a.with_claims(more="x" * 16_384),
    # JSON
    "claims that are a list": lambda a: a.with_text(json.dumps([a.claims]).encode()),
    "claims that are no JSON": lambda a: a.with_text(b"{"),
    "claims in UTF-16": lambda a: a.with_text(json.dumps(a.claims).encode("utf-16")),
    "claims with a byte order mark": lambda a: a.with_text(json.dumps(a.claims).encode("utf-8-sig")),
    "bytes that are no UTF-8": lambda a: a.with_text(json.dumps(a.claims).encode().replace(b"acme", b"acm\xff")),
    "half a surrogate pair": lambda a: a.with_text(a.duplicate(r'"more":"\ud800"')),
    "NUL in a claim": lambda a: a.with_claims(more="a\0b"),
    "NUL in a claim's name": lambda a: a.with_claims(**{"a\0b": "more"}),
    "NaN": lambda a: a.with_text(a.duplicate('"more":NaN')),
    "an endless number": lambda a: a.with_text(a.duplicate('"more":1e999')),
    "nested without end": lambda a: a.with_text(a.duplicate('"more":' + "[" * 5_000 + "]" * 5_000)),
    "nested deeply": lambda a: a.with_text(a.duplicate('"more":' + "[" * 20 + "]" * 20)),
}  # fmt: skip


def _by_exponent_one(signed: str) -> bytes:
    """A signature that anybody can make for a key with exponent 1: the padded digest itself."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(signed.encode())
    info = bytes.fromhex("3031300d060960864801650304020105000420") + digest.finalize()
    return b"\x00\x01" + b"\xff" * (256 - 3 - len(info)) + b"\x00" + info
