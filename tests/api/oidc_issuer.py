"""An OIDC issuer like those of CI services: discovery, keys and JWTs, over TLS with the tests' authority."""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from api.certificates import Authority
from listening import listening

AUDIENCE = "https://tokens.example.org"
DISCOVERY = "/.well-known/openid-configuration"
_RSA = [rsa.generate_private_key(65_537, 2_048) for _ in range(2)]
"""Making them takes long: the issuers of one run share them."""


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def part(value: object) -> str:
    """A part of a JWT: JSON, or exactly these bytes."""
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


@dataclass
class SigningKey:
    """A key pair of an issuer."""

    private: rsa.RSAPrivateKey = field(default_factory=lambda: _RSA[0])
    kid: str = "first"

    @property
    def jwk(self) -> dict[str, object]:
        modulus = self.private.public_key().public_numbers().n
        n = b64(modulus.to_bytes(self.private.key_size // 8, "big"))
        return {"kty": "RSA", "n": n, "e": "AQAB", "kid": self.kid, "use": "sig", "alg": "RS256"}

    def sign(self, header: object, claims: object) -> str:
        signed = f"{part(header)}.{part(claims)}"
        signature = self.private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{b64(signature)}"


@dataclass
class OidcIssuer:
    """The issuer's documents, its faults, and the requests that it received."""

    url: str
    key: SigningKey = field(default_factory=SigningKey)
    keys: list[dict[str, object]] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    replies: dict[str, web.Response] = field(default_factory=dict)
    """What is answered under a path instead of what is right."""
    delay_seconds: float = 0
    cache_control: str = ""

    def __post_init__(self) -> None:
        self.keys = [self.key.jwk]

    def rotate(self, kid: str = "second") -> None:
        """Sign with another key and publish only that key."""
        self.key = SigningKey(_RSA[1], kid)
        self.keys = [self.key.jwk]

    def claims(self, **more: object) -> dict[str, object]:
        now = int(time.time())
        made = {
            "iss": self.url, "aud": AUDIENCE, "sub": "repo:acme/app:ref:refs/heads/main", "jti": str(uuid4()),
            "iat": now, "nbf": now, "exp": now + 300, "repository": "acme/app", "ref": "refs/heads/main",
        }  # fmt: skip
        return {name: value for name, value in (made | more).items() if value is not ...}

    def jwt(self, header: Mapping[str, object] | None = None, **more: object) -> str:
        """A JWT of this issuer; claims and header members with the value `...` are omitted."""
        given = {"alg": "RS256", "kid": self.key.kid, "typ": "JWT"} | dict(header or {})
        return self.key.sign({name: value for name, value in given.items() if value is not ...}, self.claims(**more))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requested.append(request.path)
        self.hosts.append(request.host)
        self.headers.append(dict(request.headers))
        await asyncio.sleep(self.delay_seconds)
        if request.path in self.replies:
            made = self.replies[request.path]
            return web.Response(body=made.body, status=made.status, headers=made.headers)
        if request.path == DISCOVERY:
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        headers = {"Cache-Control": self.cache_control} if self.cache_control else {}
        return web.json_response({"keys": self.keys}, headers=headers)


@asynccontextmanager
async def oidc_issuer(authority: Authority, directory: Path, host: str = "127.0.0.1") -> AsyncIterator[OidcIssuer]:
    """Serve an issuer on this machine, with a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.pair(directory, host))
    app = web.Application()
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    issuer = OidcIssuer("")
    app.router.add_route("*", "/{path:.*}", issuer.answer)
    async with listening(runner, context) as (_, port):
        issuer.url = f"https://{host}:{port}"
        yield issuer
