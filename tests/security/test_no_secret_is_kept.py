"""B9, I34. After all kinds of traffic, no store and no log of the service contains a secret."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from counterfoil.core.duration import FOREVER
from counterfoil.settings import Settings
from counterfoil.uses.found_account import renew_token
from counterfoil_dev.running import running_service
from security.dialect_traffic import speak_dialects
from security.import_traffic import move_in
from security.oauth_traffic import grant
from security.scanner import Scanner
from security.stores import Places
from security.traffic import Caller, calling, end, issue, meet_failures, misplace, swap, use, write_down
from security.user_traffic import meet_people

PLANTED = "cfl_service_" + "Planted0" * 6 + "z"


def knowing_the_keys(scanner: Scanner, told: dict[str, str]) -> None:
    """Peppers and the encryption key are only in the environment."""
    keys = {f"pepper {n}": key for n, key in (pair.split(":") for pair in told["PEPPERS"].split(","))}
    for name, key in {**keys, "KEY_ENCRYPTION_KEY": told["KEY_ENCRYPTION_KEY"]}.items():
        scanner.know(name, key.rstrip("="))
        scanner.know(name, base64.b64decode(key))


@asynccontextmanager
async def without_a_table(places: Places) -> AsyncIterator[None]:
    """A database that fails with unexpected errors."""
    connection = await places.superuser()
    await connection.execute("alter table secret rename to hidden")
    yield
    await connection.execute("alter table hidden rename to secret")
    await connection.close()


@asynccontextmanager
async def without_a_database(places: Places) -> AsyncIterator[None]:
    """A database that dies and is restarted."""
    places.service.kill("postgres")
    yield
    async with asyncio.timeout(30):
        while True:
            try:
                await (await places.superuser()).close()
                break
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.1)


async def live(caller: Caller, places: Places) -> None:
    await swap(caller)
    await places.log_every_statement()
    token_id, secret = await issue(caller)
    bearers = [*await use(caller, token_id, secret), *await grant(caller, token_id, secret)]
    await misplace(caller, secret)
    await write_down(caller, token_id, secret)
    await meet_people(caller)
    await move_in(caller)
    await speak_dialects(caller)
    assert 500 in await meet_failures(caller, secret, without_a_table(places))
    await meet_failures(caller, secret, without_a_database(places))
    await end(caller, token_id, secret, bearers)


async def plant(places: Places) -> None:
    """Leave a secret in each kind of place."""
    connection = await places.superuser()
    await connection.execute("create table forgotten (words text, bytes bytea)")
    await connection.execute("insert into forgotten values ($1, $2)", PLANTED, PLANTED.encode())
    await connection.execute("create table undone (words text)")
    await connection.execute("insert into undone values ($1)", PLANTED)
    await connection.execute("delete from undone")
    await connection.close()
    async with Redis.from_url(places.told["REDIS_URL"]) as client:
        await client.hset("forgotten", PLANTED, "x")
    with (places.service.root / "log" / "api.log").open("a") as log:
        log.write(f'{{"event": "request", "note": "{base64.b64encode(PLANTED.encode()).decode()}"}}\n')


async def found_in_stores(places: Places, scanner: Scanner) -> dict[str, set[str]]:
    """The findings by the name of their place."""
    await places.checkpoint()
    stores = {**await places.dump(), "valkey": await places.valkey()}
    found = {name: scanner.found(data) for name, data in stores.items()}
    for path in places.files():
        found[str(path.relative_to(places.service.root))] = scanner.found(path.read_bytes())
    return {name: names for name, names in found.items() if names}


async def test_no_secret_is_kept_anywhere_and_a_planted_one_is_found(place: Path) -> None:
    scanner = Scanner()
    with running_service(place, environment={"LOG_LEVEL": "debug"}) as service:
        places = Places.of(service)
        knowing_the_keys(scanner, places.told)
        settings = Settings.from_environment(places.told, command="account")
        await renew_token(settings, file=place / "credentials.json", lifetime=FOREVER)
        async with calling(dict(service.credentials), scanner) as caller:
            await live(caller, places)
            for page in ("/metrics", "/openapi.json", "/.well-known/jwks.json"):
                assert await caller.said("GET", page) == 200
            assert [answer for answer in caller.silent if scanner.found(answer)] == []
        assert caller.known > 30
        assert b"Parameters: $1" in (place / "log" / "postgres.log").read_bytes()
        assert await found_in_stores(places, scanner) == {}
        await planted_secrets_are_found(places)


async def planted_secrets_are_found(places: Places) -> None:
    await plant(places)
    scanner = Scanner()
    scanner.know("planted", PLANTED)
    found = await found_in_stores(places, scanner)
    assert {"public.forgotten", "valkey", "log/api.log"} <= set(found)
    assert any(name.startswith("postgres/data/pg_wal/") for name in found)
    assert any(name.startswith("postgres/data/base/") for name in found)
    assert any(name.startswith("valkey/appendonlydir/") for name in found)
    assert "public.undone" not in found, "deleted, and found in the files below alone"


@pytest.mark.parametrize("spelt", [
    PLANTED, f"x{PLANTED}x", PLANTED[20:40], PLANTED.encode().hex(), base64.b64encode(PLANTED.encode()).decode(),
    base64.b64encode(b"x" + PLANTED.encode()).decode(), base64.b64encode(b"xx" + PLANTED.encode() + b"x").decode(),
    hashlib.sha256(PLANTED.encode()).hexdigest(),
])  # fmt: skip
def test_the_scanner_knows_every_spelling(spelt: str) -> None:
    scanner = Scanner()
    scanner.know("planted", PLANTED)
    assert scanner.found(b"\x00" + spelt.encode() + b"\xff") == {"planted"}
    assert scanner.found(spelt.encode().swapcase() if "Planted" in spelt else b"hint cfl_service_Plan") == set()
