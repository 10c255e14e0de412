"""I. Every failed attempt is recorded, and no number of them fills the disk."""

import asyncio
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import ClientSession
from uuid_utils.compat import uuid7

from api.service import Caller, basic, founded, served, settings_for
from counterfoil.core.principal import NIL
from counterfoil.core.secret import mint
from counterfoil.postgres import attempts as sql
from counterfoil.postgres.connection import Pool
from counterfoil.uses.attempts import SUBJECTS_A_MINUTE, Attempts
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from security.scanner import Scanner

ACCOUNT = UUID(int=7)


async def counted(pool: Pool) -> Counter[tuple[UUID, str]]:
    rows = await pool.fetch("select account_id, kind, sum(count)::bigint as count from attempt group by 1, 2")
    return Counter({(row["account_id"], row["kind"]): row["count"] for row in rows})


async def test_every_failure_is_recorded_once(database: Database, pool: Pool, tmp_path: Path) -> None:
    settings = settings_for(database.app_url, GUESS_LIMIT="5/10m", RATE_LIMIT="20/10m")
    credentials = await founded(settings, "recorded", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        ended, poor = await admin.issue(), await admin.holder("a.b")
        await admin.post(f"/v1/tokens/{ended['token']['id']}/revoke", {"reason": "for the test"})
        account = UUID(ended["token"]["account"])
        bearer = (await admin.post("/v1/exchange")).json["access_token"]
        for caller, count in (
            (admin.with_token("nonsense"), 3),
            (admin.with_token(f"{bearer[:-4]}AAAA"), 2),
            (admin.with_token(ended["secret"]), 4),
            (poor, 2),
            (Caller(session, basic(credentials["admin_login"], "wrong")), 2),
            (Caller(session, basic("nobody@recorded.example.org", "wrong")), 2),
            (Caller(session, basic(f"{uuid7()}/nobody@recorded.example.org", "wrong")), 1),
        ):
            for _ in range(count):
                assert (await caller.get("/v1/tokens")).status in (401, 403)
        for _ in range(20):
            await admin.with_token(mint("user").plain).get("/v1/tokens")
        statuses = [(await poor.get("/v1/tokens/self")).status for _ in range(20)]
        assert statuses == [200] * 18 + [429] * 2
    found = await counted(pool)
    unknown = {kind: count for (whose, kind), count in found.items() if whose == NIL and kind.startswith("unknown")}
    assert sum(unknown.values()) == 20
    assert unknown["unknown"] <= 5 + 7
    assert found == {
        (NIL, "malformed"): 5,
        **{(NIL, kind): count for kind, count in unknown.items()},
        (NIL, "login-failed"): 1,  # invented account ids create no rows of their own
        (account, "login-failed"): 4,
        (account, "token-revoked"): 4,
        (account, "scope-missing"): 2,
        (account, "rate-limited"): 2,
    }


async def test_a_million_failures_are_a_few_rows(pool: Pool) -> None:
    async with Attempts(pool) as attempts:
        for part in range(100):
            for number in range(10_000):
                attempts.note(NIL, "unknown", network=f"2001:db8:{number:x}::/64")
                if number % 100 == 0:
                    attempts.note(ACCOUNT, "token-expired", uuid7(), network="192.0.2.0/24")
            if part % 10 == 0:
                await asyncio.sleep(0)
    assert await counted(pool) == {(NIL, "unknown"): 1_000_000, (ACCOUNT, "token-expired"): 10_000}
    minutes = await pool.fetchval("select count(distinct minute) from attempt")
    rows = await pool.fetchval("select count(*) from attempt")
    # The clocks of the counter and of the rows may assign a minute differently.
    assert rows <= (minutes + 1) * (SUBJECTS_A_MINUTE + 2)


async def test_attempts_counted_while_the_database_was_away_are_not_lost(
    monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    attempts = Attempts(pool)
    attempts.note(ACCOUNT, "token-expired", network="192.0.2.0/24")
    real = sql.add

    async def away(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(sql, "add", away)
    await attempts.flush()
    attempts.note(ACCOUNT, "token-expired", network="192.0.2.0/24")
    for _ in range(30_000):
        attempts.note(ACCOUNT, "token-revoked", uuid7(), network="192.0.2.0/24")
    assert len(attempts) <= SUBJECTS_A_MINUTE + 3
    monkeypatch.setattr(sql, "add", real)
    await attempts.flush()
    assert await counted(pool) == {(ACCOUNT, "token-expired"): 2, (ACCOUNT, "token-revoked"): 30_000}


async def test_the_counts_of_two_processes_add_up(pool: Pool) -> None:
    async def counts(kind: str) -> None:
        async with Attempts(pool) as attempts:
            for number in range(500):
                attempts.note(ACCOUNT, kind, UUID(int=number % 7), network="192.0.2.0/24")
                if number % 50 == 0:
                    await attempts.flush()

    await asyncio.gather(*(counts(kind) for kind in ("a", "b", "a", "b")))
    assert await counted(pool) == {(ACCOUNT, "a"): 1_000, (ACCOUNT, "b"): 1_000}


async def test_attempts_are_deleted_after_ninety_days(pool: Pool) -> None:
    await sql.add(pool, [(ACCOUNT, "old", NIL, "unix", 1), (ACCOUNT, "new", NIL, "unix", 1)])
    await pool.execute("update attempt set minute = minute - interval '91 days' where kind = 'old'")
    assert await sql.forget(pool) == 1
    assert await counted(pool) == {(ACCOUNT, "new"): 1}


async def test_no_presented_credential_is_recorded(database: Database, pool: Pool, tmp_path: Path) -> None:
    settings = settings_for(database.app_url, TRUSTED_PROXIES="127.0.0.1/32")
    await founded(settings, "silent", tmp_path)
    scanner, name, password = Scanner(), "nobody@silent.example.org", "correct-horse-battery-staple"
    scanner.know("a password", password)
    scanner.know("a name", name)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        for number in range(5):
            secret, there = mint("user"), {"X-Forwarded-For": f"192.0.2.{77 + number}"}
            scanner.know("a secret", secret.plain)
            await Caller(session, f"Bearer {secret.plain}", there).get("/v1/tokens")
        await Caller(session, basic(name, password)).get("/v1/tokens")
    rows = await pool.fetch("select a::text as row from attempt a")
    text = "\n".join(row["row"] for row in rows)
    assert "192.0.2.0/24" in text
    assert "192.0.2.7" not in text
    assert scanner.found(text.encode()) == set()


async def test_an_account_sees_only_its_own_attempts(pool: Pool) -> None:
    both = (ACCOUNT, UUID(int=8))
    await sql.add(pool, [(NIL, "unknown", NIL, "unix", 1), (ACCOUNT, "a", NIL, "unix", 1)])
    found = [await sql.attempts_of(pool, each, kind=None, subject=None, after=None, limit=9) for each in both]
    assert [[each.kind for each in some] for some in found] == [["a"], []]
