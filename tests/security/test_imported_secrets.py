"""A3, B6, B7, D18, E20. Imported secrets are stored like our own and open no way around the limits for strangers."""

import asyncio
import hashlib
import hmac
import secrets
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import asyncpg
from aiohttp import ClientSession

from api.service import Caller, basic, founded, served, settings_for
from api.user_fixtures import person
from counterfoil.core.secret import mint
from counterfoil.postgres.connection import Connection, Pool, open_pool
from counterfoil.settings import Settings
from counterfoil.uses.secret_formats import SecretFormats
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database

IMPORT = "/v1/tokens/import"
CLIENT = "client_credentials"


def item(**fields: Any) -> dict[str, Any]:
    return {"name": "moved", "owner": {"type": "service", "id": "old"}, **fields}


def digest_of(text: str) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(text.encode()).hexdigest()}


async def imported(caller: Caller, **fields: Any) -> Any:
    return (await caller.post(IMPORT, {"tokens": [item(**fields)]})).json["results"][0]


class Counting:
    """A pool that counts its queries."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.asked = 0

    async def fetch(self, *question: Any) -> list[asyncpg.Record]:
        self.asked += 1
        return await self.pool.fetch(*question)


async def test_without_imports_garbage_costs_at_most_one_query_a_second(database: Database) -> None:
    async with await open_pool(database.app_url, size=2) as pool:
        counting = Counting(pool)
        recognition = SecretFormats(counting)  # type: ignore[arg-type] # as much of a pool as it needs
        slips = [mint("service").plain[:-1] + "!", "short", "x" * 2_000, "eyJh.b.c"]
        assert [await recognition.of(slip) for slip in slips] == [None] * 4
        assert counting.asked == 0
        for _ in range(1_000):
            assert await recognition.of(secrets.token_urlsafe(30)) is None
        assert counting.asked <= 10, "one, or one for each second that this machine took"
        assert await recognition.of(mint("user").plain) is not None
        assert counting.asked <= 10


async def test_an_imported_secret_is_stored_as_an_hmac_of_its_digest(
    admin: Caller, owner: Connection, settings: Settings
) -> None:
    text = "old_" + secrets.token_hex(20)
    token = (await imported(admin, secret=text))["token"]
    kept = await owner.fetch("select digest, scheme from secret where token_id = $1::text::uuid", token)
    plain_digest = hashlib.sha256(text.encode()).digest()
    pepper = settings.peppers[max(settings.peppers)]
    assert [tuple(row) for row in kept] == [(hmac.digest(pepper, b"sha256:" + plain_digest, "sha256"), "sha256")]


async def test_a_dump_confirms_no_guess_of_an_imported_secret(admin: Caller, owner: Connection) -> None:
    texts = ["old_" + secrets.token_hex(20) for _ in range(2)]
    await imported(admin, secret=texts[0])
    await imported(admin, digest=digest_of(texts[1]))
    tables = ("secret", "token", "event", "idempotency_key", "subject")
    rows = [row for table in tables for row in await owner.fetch(f"select * from {table}")]
    cells = b"\n".join(
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row.values()
    )
    for text in texts:
        for how in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(how, text.encode()).digest()
            assert digest not in cells
            assert digest.hex().encode() not in cells
        assert text[4:].encode() not in cells


async def test_with_imports_guesses_are_limited_and_holders_are_not(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database.app_url, GUESS_LIMIT="5/10m")
    credentials = await founded(settings, "moving", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        shown, digested = ("old_" + secrets.token_hex(20) for _ in range(2))
        await imported(admin, secret=shown)
        await imported(admin, digest=digest_of(digested))
        assert (await admin.with_token(digested).get("/v1/tokens/self")).status == 200
        guesses = [await admin.with_token(secrets.token_urlsafe(30)).get("/v1/tokens/self") for _ in range(40)]
        assert [guess.status for guess in guesses][:5] == [401] * 5
        assert [guess.status for guess in guesses][-20:] == [429] * 20
        for holder in (shown, digested):
            assert (await admin.with_token(holder).get("/v1/tokens/self")).status == 200


async def test_a_guess_looked_up_in_two_readings_is_one_failure(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database.app_url, GUESS_LIMIT="5/10m")
    credentials = await founded(settings, "clients", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        plain, half = (f"{beginning}{secrets.token_hex(20)}" for beginning in ("old+/", "old%2B"))
        scopes = ["tokens.introspect"]
        client, other = [(await imported(admin, secret=each, scopes=scopes))["token"] for each in (plain, half)]

        known = ((client, quote_plus(plain)), (client, plain), (other, half), (other, quote_plus(half)))
        for path, fields in (("/v1/introspect", {"token": "x"}), ("/v1/oauth/token", {"grant_type": CLIENT})):
            async with served(make_app(settings)) as fresh, ClientSession(fresh) as to:
                asked = partial(_status, to, path, fields)
                assert [await asked(*each) for each in known] == [200] * 4
                guesses = [await asked(client, f"g%2B{secrets.token_hex(20)}") for _ in range(12)]
                assert guesses == [401] * 5 + [429] * 7
                assert [await asked(*each) for each in known] == [200] * 4, "whichever reading is the secret"


async def _status(session: ClientSession, path: str, fields: dict[str, str], client: str, text: str) -> int:
    return (await Caller(session, basic(client, text)).form(path, **fields)).status


async def test_an_ended_secret_is_one_credential_in_every_form_encoding(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database.app_url, GUESS_LIMIT="100/10m")
    credentials = await founded(settings, "dead-clients", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        plain = f"old+{secrets.token_hex(20)}"
        client = (await imported(admin, secret=plain))["token"]
        await admin.post(f"/v1/tokens/{client}/revoke", {"reason": "x"})
        spelt = [plain[:at] + f"%{ord(plain[at]):02x}" + plain[at + 1 :] for at in range(4, 44)]
        answers = [
            await Caller(session, basic(client, f"{quote_plus(each[:4])}{each[4:]}")).form("/v1/introspect", token="x")
            for each in spelt * 2
        ]
        assert [answer.status for answer in answers] == [401] * 60 + [429] * 20
        assert "revoked" in answers[-1].json["error_description"]


async def test_a_digest_held_by_another_account_reveals_nothing_of_it(admin: Caller, stranger: Caller) -> None:
    text = "old_" + secrets.token_hex(20)
    token = (await imported(admin, secret=text, name="a name of ours"))["token"]
    theirs = await imported(stranger, digest=digest_of(text))
    assert theirs["status"] == "refused"
    assert set(theirs["problem"]) == {"type", "title", "status", "detail"}
    assert not any(word in str(theirs) for word in (token, "a name of ours"))
    assert (await stranger.form("/v1/introspect", token=text)).json == {"active": False}
    assert (await admin.form("/v1/introspect", token=text)).json["active"] is True


async def test_a_dry_run_reveals_nothing_of_other_accounts_and_an_import_is_recorded(
    admin: Caller, stranger: Caller
) -> None:
    theirs, free = "old_" + secrets.token_hex(20), "old_" + secrets.token_hex(20)
    assert (await imported(stranger, secret=theirs))["status"] == "imported"
    for spelling in ({"secret": theirs}, {"digest": digest_of(theirs)}, {"secret": free}):
        tried = await admin.post(IMPORT, {"dry_run": True, "tokens": [item(**spelling)]})
        assert tried.json["results"] == [{"status": "imported"}]
    for spelling in ({"secret": theirs}, {"digest": digest_of(theirs)}):
        assert (await imported(admin, **spelling))["problem"]["type"].endswith("secret-taken")
    async with asyncio.timeout(10):
        while not (noted := (await admin.get("/v1/attempts", kind="secret-taken")).json["items"]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert sum(each["count"] for each in noted) >= 1


async def test_a_dry_run_is_refused_like_the_import(admin: Caller) -> None:
    ada = await person(admin)
    wide = item(owner={"type": "user", "id": ada.id}, scopes=["mail.send"], secret="old_" + secrets.token_hex(20))
    for dry_run in (True, False):
        (told,) = (await admin.post(IMPORT, {"dry_run": dry_run, "tokens": [wide]})).json["results"]
        assert told["problem"]["type"].endswith("beyond-owner")
