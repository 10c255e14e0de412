"""JWTs instead of secrets, over several processes: each is accepted as often as allowed and stored nowhere."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from api.certificates import Authority
from api.oidc_issuer import OidcIssuer, oidc_issuer
from api.service import Answer, Caller, founded, served, settings_for
from api.trusts import Trusting
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from security.processes import several
from security.scanner import Scanner

MANY = 20


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[OidcIssuer]:
    async with oidc_issuer(Authority.at(tmp_path), tmp_path) as made:
        yield made


@pytest.fixture
def egress(issuer: OidcIssuer, tmp_path: Path) -> dict[str, str]:
    return {"EGRESS_ALLOWED": issuer.url.removeprefix("https://"), "EGRESS_CA_FILE": str(tmp_path / "authority.pem")}


@pytest.fixture
async def processes(
    database: Database, issuer: OidcIssuer, egress: dict[str, str], tmp_path: Path
) -> AsyncIterator[list[Trusting]]:
    """Three processes of one service with the same administrator."""
    admin = (await founded(settings_for(database.app_url), "three", tmp_path))["admin_token"]
    async with several(database, 3, **egress) as urls:
        sessions = [ClientSession(url) for url in urls]
        yield [Trusting(Caller(session, f"Bearer {admin}"), issuer) for session in sessions]
        for session in sessions:
            await session.close()


async def at_once(processes: list[Trusting], token: Any, jwts: list[str]) -> list[Answer]:
    """The answers of several processes, each of which gets some of the JWTs at the same time."""
    asked = ((processes[n % len(processes)], jwt) for n, jwt in enumerate(jwts))
    return await asyncio.gather(*(process.exchange(token, jwt) for process, jwt in asked))


def accepted(answers: list[Answer]) -> int:
    return sum(answer.status == 200 for answer in answers)


async def test_a_jwt_is_accepted_exactly_once_over_three_processes(processes: list[Trusting]) -> None:
    token = await processes[0].issue(trust={"once": True})
    for _ in range(3):
        answers = await at_once(processes, token, [processes[0].issuer.jwt()] * MANY)
        assert accepted(answers) == 1
        refused = [answer.json["error_description"] for answer in answers if answer.status != 200]
        assert all("accepted before" in said for said in refused), refused
    different = [processes[0].issuer.jwt() for _ in range(MANY)]
    assert accepted(await at_once(processes, token, different)) == MANY
    events = (await processes[1].admin.get(f"/v1/tokens/{token['id']}/events", limit=100)).json["items"]
    jtis = [event["data"]["assertion"]["jti"] for event in events if event["type"] == "exchanged"]
    assert (len(jtis), len(set(jtis))) == (3 + MANY, 3 + MANY)


async def test_a_number_of_uses_applies_to_jwts_over_three_processes(processes: list[Trusting]) -> None:
    token = await processes[0].issue(trust={"once": True}, max_uses=7)
    again = processes[0].issuer.jwt()
    await processes[0].bearer(token, again)
    assert accepted(await at_once(processes, token, [again] * 6)) == 0  # refused JWTs are no uses
    different = [processes[0].issuer.jwt() for _ in range(MANY)]
    assert accepted(await at_once(processes, token, different)) == 6


async def test_a_maker_loses_rights_in_every_process_at_once(processes: list[Trusting]) -> None:
    made = await processes[0].admin.issue(scopes=["deploy.*", "tokens.create"])
    token = await processes[0].issue(processes[0].admin.with_token(made["secret"]))
    for process in processes:
        assert (await process.exchange(token)).json["scope"] == "deploy.*"
    await processes[0].admin.patch(f"/v1/tokens/{made['token']['id']}", {"scopes": ["deploy.run"]})
    for process in processes:
        assert (await process.exchange(token)).json["scope"] == "deploy.run"
    await processes[1].admin.post(f"/v1/tokens/{made['token']['id']}/revoke", {"reason": "left"})
    for process in processes:
        assert "state its trust again" in await process.refused(token)


@pytest.fixture
def environment(database: Database, valkey: Valkey, egress: dict[str, str]) -> dict[str, str]:
    """The environment of a process that counts in Valkey."""
    limits = {"LIMITS_REDIS_URL": valkey.database(5), "RATE_LIMIT": "1000/10m"}
    return {"database_url": database.app_url, **limits, **egress}


async def test_no_jwt_is_stored_or_logged_and_a_refused_one_is_recorded_for_the_account(
    environment: dict[str, str], issuer: OidcIssuer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(**environment)
    admin = (await founded(settings, "kept", tmp_path))["admin_token"]
    scanner, jwts = Scanner(), [issuer.jwt(email="ada.lovelace@acme.example") for _ in range(3)]
    jwts[2] = f"{jwts[2][:-40]}{'A' * 40}"
    for jwt in jwts:
        for name, part in zip(("header", "claims", "signature"), jwt.split("."), strict=True):
            scanner.know(name, part)
    scanner.know("an e-mail address", "ada.lovelace@acme.example")
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        trusting = Trusting(Caller(session, f"Bearer {admin}"), issuer)
        token = await trusting.issue(trust={"once": True})
        await trusting.bearer(token, jwts[0])
        for jwt in (jwts[0], issuer.jwt(ref="refs/heads/x"), jwts[2]):
            await trusting.refused(token, jwt)
    logged = capfd.readouterr()
    assert "problem=exchange-refused" in re.sub(r"\x1b\[[0-9;]*m", "", logged.out)
    connection = await asyncpg.connect(settings.database_url)
    tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    rows = [str(row) for table in tables for row in await connection.fetch(f'select * from "{table[0]}"')]
    noted = await connection.fetch("select kind, account_id::text from attempt where subject_id = $1", token["id"])
    await connection.close()
    async with Redis.from_url(environment["LIMITS_REDIS_URL"]) as redis:
        kept = [key async for key in redis.scan_iter("*")]
    for place in (logged.out, logged.err, "\n".join(rows), b"\n".join(kept).decode()):
        assert scanner.found(place.encode()) == set()
    assert {(row["kind"], row["account_id"]) for row in noted} == {
        ("already-accepted", token["account"]), ("trust-refused", token["account"]),
    }  # fmt: skip
