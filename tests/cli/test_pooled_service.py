"""The whole service through a real PgBouncer: every process works in session mode and refuses any other mode."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from api.service import Caller
from cli.shell import Shell
from client.running import environment_of
from counterfoil_dev.postgres import OWNER, Database, Postgres
from counterfoil_dev.state import State, temporary_state
from counterfoil_dev.valkey import Valkey
from postgres.pooler import needs_pgbouncer, pgbouncer
from security.processes import several
from uses.sealer_processes import sealer as sealing
from worker.workers import running as working
from worker.workers import wait_until

pytestmark = needs_pgbouncer

SERVER_COMMANDS = (
    "migrate", "api", "worker", "account create x --admin-email a@example.org --credentials c.json",
    "account recover --email a@example.org", "keys list", "keys rotate", "pepper list", "audit replay", "sealer",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


@pytest.fixture
def pooler_state() -> Iterator[State]:
    with temporary_state() as state:
        yield state


def pooled_shell(shell: Shell, through: Database) -> Shell:
    return Shell(shell.loaded, shell.directory, environment_of(through))


async def test_everything_works_in_session_mode(
    pooler_state: State, postgres_server: Postgres, valkey: Valkey, server_side: Shell, tmp_path: Path
) -> None:
    postgres_server.run(f"create database through_a_pool owner {OWNER};")
    with pgbouncer(pooler_state, postgres_server, mode="session") as pooler:
        through = pooler.before(postgres_server.database("through_a_pool"))
        shell = pooled_shell(server_side, through)
        assert "applied 0001_events.sql" in (await shell("migrate")).out
        founding = ("account", "create", "first", "--admin-email", "a@example.org", "--credentials", "c.json")
        assert (await shell(*founding)).out == "wrote c.json\n"
        token = msgspec.json.decode((tmp_path / "c.json").read_bytes())["admin_token"]
        with working(through.app_url, valkey.url, tmp_path / "worker.log") as worker:
            async with several(through, 1, API_PROCESSES="2") as (url,), ClientSession(url) as session:
                await _a_life(Caller(session, f"Bearer {token}"))
            worker.wait_until_said("lead_taken")
            assert worker.stop() == 0
        assert worker.said("work_failed") + worker.said("lead_unknown") == 0
        with sealing(through.app_url, tmp_path / "sealer.log") as sealer:
            sealer.wait_until_said("lead_taken")
            wait_until(lambda: int(postgres_server.run("select size from head", database="through_a_pool")) > 0)
            assert sealer.stop() == 0
        assert sealer.said("sealing_fails") + sealer.said("lead_unknown") == 0
        for words in ("keys list", "keys rotate", "pepper list", "account recover --email a@example.org"):
            said = await shell(*words.split())
            assert said.code == 0, said.err
        said = await shell("audit", "replay")
        assert (said.code, "every row is what its events say" in said.out) == (0, True)
    postgres_server.run("drop database through_a_pool with (force);")


async def _a_life(admin: Caller) -> None:
    """Create, use, change and revoke a token, with requests in between."""
    issued = await admin.issue(scopes=["invoices.*"], lifetime="30d")
    holder, ref = admin.with_token(issued["secret"]), f"/v1/tokens/{issued['token']['id']}"
    bearer = (await holder.post("/v1/exchange", {"scopes": ["invoices.read"]})).json["access_token"]
    for text in (issued["secret"], bearer):
        assert (await admin.form("/v1/introspect", token=text)).json["active"] is True
    rotated = await admin.post(f"{ref}/rotate", {"grace": "0s"}, Idempotency_Key="a-key-of-22-characters-or-more")
    again = await admin.post(f"{ref}/rotate", {"grace": "0s"}, Idempotency_Key="a-key-of-22-characters-or-more")
    assert (rotated.status, again.status, again.json["secret"]) == (200, 200, rotated.json["secret"])
    for _ in range(20):
        assert (await admin.get("/v1/tokens", limit=1)).status == 200
        assert (await admin.get(ref, as_of="1")).json["generation"] == 1
    assert (await admin.post(f"{ref}/revoke", {"reason": "over"})).status == 200
    assert (await admin.form("/v1/introspect", token=rotated.json["secret"])).json["active"] is False
    types = [event["type"] for event in (await admin.get(f"{ref}/events")).json["items"]]
    assert types == ["created", "exchanged", "rotated", "revoked"]


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_no_process_starts_in_another_mode(
    *, pooler_state: State, postgres_server: Postgres, valkey: Valkey, database: Database, server_side: Shell, mode: str
) -> None:
    with pgbouncer(pooler_state, postgres_server, mode=mode) as pooler:
        shell = pooled_shell(server_side, pooler.before(database))
        for line in SERVER_COMMANDS:
            for processes in ("1", "2") if line == "api" else ("1",):
                said = await shell(*line.split(), REDIS_URL=valkey.url, API_PORT="0", API_PROCESSES=processes)
                assert said.code == 2, (line, said)
                assert "Use its session mode (in PgBouncer: pool_mode = session)" in said.err
                assert "Traceback" not in said.err


def test_every_session_is_opened_by_the_checked_function() -> None:
    sources = [path for room in ("shared/counterfoil", "services") for path in (ROOT / room).rglob("*.py")]
    opening = {path.name for path in sources if re.search(r"asyncpg\.(connect|create_pool)\(", path.read_text())}
    assert opening == {"session.py", "connection.py"}
