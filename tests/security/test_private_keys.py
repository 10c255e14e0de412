"""H. Bearers are accepted with one header, one key, one issuer and in their lifetime; private keys are encrypted."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_private_key
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from api.service import Caller, founded, served, settings_for
from api.test_bearers import mirrored
from counterfoil.postgres.connection import Connection
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from security.scanner import Scanner
from security.stores import dump_of


def part(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def forgeries(bearer: str, published: dict[str, Any]) -> dict[str, str]:
    """Forgeries of a valid bearer, made with everything public and the forger's own keys."""
    head, payload, signature = bearer.split(".")
    header, claims = part(head), json.dumps(part(payload)).encode()
    own = ECKey.generate_key("P-256")
    public = OctKey.import_key(json.dumps(published).encode())
    rules = jws.JWSRegistry(algorithms=["ES256", "HS256", "none"], strict_check_header=False)

    def signed(key: Any, **more: Any) -> str:
        return jws.serialize_compact({**header, **more}, claims, key, registry=rules)

    unsigned = base64.urlsafe_b64encode(json.dumps({**header, "alg": "none"}).encode()).decode().rstrip("=")
    return {
        "none": f"{unsigned}.{payload}.",
        "none with the signature": f"{unsigned}.{payload}.{signature}",
        "HS256 under the public key": signed(public, alg="HS256"),
        "a key of one's own": signed(own),
        "a key of one's own, brought along": signed(own, jwk=own.as_dict(private=False)),
        "a key of one's own, pointed to": signed(own, jku="https://keys.example/jwks.json", x5u="https://x.example"),
        "a key of one's own, named": signed(own, kid=own.thumbprint()),
        "an id token": signed(own, typ="JWT"),
        "the other signature of the same bytes": mirrored(bearer),
        "other claims": f"{head}.{base64.urlsafe_b64encode(claims[:-1] + b' }').decode().rstrip('=')}.{signature}",
    }


async def test_no_forged_bearer_is_accepted_anywhere(admin: Caller) -> None:
    holder = await admin.holder("all")
    bearer = (await holder.post("/v1/exchange")).json["access_token"]
    keys = (await admin.get("/.well-known/jwks.json")).json["keys"]
    assert (await admin.with_token(bearer).get("/v1/tokens")).status == 200
    for name, forged in forgeries(bearer, keys[0]).items():
        refused = await admin.with_token(forged).get("/v1/tokens")
        assert refused.status == 401, name
        assert (await admin.form("/v1/introspect", token=forged)).json == {"active": False}, name
        assert (await admin.with_token(forged).post("/v1/exchange")).status == 401, name


async def test_a_bearer_expires_on_its_second(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database.app_url, BEARER_LIFETIME="2s")
    credentials = await founded(settings, "short", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        said = (await admin.post("/v1/exchange")).json
        bearer = admin.with_token(said["access_token"])
        assert (said["expires_in"], (await bearer.get("/v1/tokens")).status) == (2, 200)
        await asyncio.sleep(2.1)
        assert (await bearer.get("/v1/tokens")).status == 401
        assert (await admin.form("/v1/introspect", token=said["access_token"])).json == {"active": False}


async def test_private_keys_are_stored_only_encrypted(admin: Caller, owner: Connection, settings: Settings) -> None:
    assert (await admin.post("/v1/exchange")).status == 200
    rows = await owner.fetch("select encrypted from private_key")
    (kid,) = [key["kid"] for key in (await admin.get("/.well-known/jwks.json")).json["keys"]]
    scanner = Scanner()
    for row in rows:
        sealed = row["encrypted"]
        der = AESGCM(settings.key_encryption_key).decrypt(sealed[:12], sealed[12:], kid.encode())
        private = load_der_private_key(der, password=None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        scanner.know("the private number", private.private_numbers().private_value.to_bytes(32, "big"))
        scanner.know("the private key", der[:-70])  # the rest is the public point
    scanner.know("the key that encrypts it", settings.key_encryption_key)
    assert len(rows) == 1
    dump = await dump_of(owner)
    assert [name for name, text in dump.items() if scanner.found(text)] == []
    assert kid.encode() in dump["public.event"], "that a key came to be is an event"
