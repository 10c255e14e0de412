"""With a pooler in session mode everything works; in any other mode the service does not start."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from counterfoil.core.refusals import Misconfigured
from counterfoil.postgres import session
from counterfoil.postgres.connection import Connection, connect, open_pool, refuse_unfit
from counterfoil.postgres.migrate import migrate
from counterfoil.postgres.replay import snapshot
from counterfoil.postgres.session import backend_of, open_session
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres
from counterfoil_dev.state import State, temporary_state
from postgres.pooler import Pooler, needs_pgbouncer, pgbouncer

pytestmark = needs_pgbouncer

HOT = {
    "application_name": "counterfoil", "timezone": "UTC", "jit": "off", "synchronous_commit": "on",
    "default_transaction_isolation": "read committed", "client_min_messages": "warning", "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "1min", "plan_cache_mode": "force_generic_plan", "enable_seqscan": "off",
    "enable_hashjoin": "off", "enable_mergejoin": "off", "lock_timeout": "1s",
}  # fmt: skip
ELSE = {
    "application_name": "somebody else", "timezone": "Asia/Kathmandu", "jit": "on", "synchronous_commit": "off",
    "default_transaction_isolation": "serializable", "client_min_messages": "error", "statement_timeout": "7s",
    "idle_in_transaction_session_timeout": "0", "plan_cache_mode": "force_custom_plan", "enable_seqscan": "on",
    "enable_hashjoin": "on", "enable_mergejoin": "on", "lock_timeout": "0", "search_path": "pg_catalog",
    "default_transaction_read_only": "on",
}  # fmt: skip
LENT = "a pooler that lends a session to others.*pool_mode = session"


@pytest.fixture
def pooler_state() -> Iterator[State]:
    with temporary_state() as state:
        yield state


@pytest.fixture
def session_mode(pooler_state: State, postgres_server: Postgres) -> Iterator[Pooler]:
    with pgbouncer(pooler_state, postgres_server, mode="session") as pooler:
        yield pooler


async def settings_of(connection: Connection) -> dict[str, str]:
    return {name: await connection.fetchval("select current_setting($1)", name) for name in HOT}


async def filled(url: str, size: int) -> None:
    """Let the pool open this many sessions, which are idle afterwards."""
    clients = await asyncio.gather(*(asyncpg.connect(url) for _ in range(size)))
    await asyncio.gather(*(client.execute("select pg_sleep(0.1)") for client in clients))
    for client in clients:
        await client.close()


async def test_in_session_mode_the_server_has_our_settings(session_mode: Pooler, database: Database) -> None:
    url = session_mode.before(database).app_url
    connection = await connect(url)
    assert await settings_of(connection) == HOT
    assert await backend_of(connection) != connection.get_server_pid(), "nobody stands between us"
    async with await open_pool(url, size=2, by_key=True) as pool, pool.acquire() as pooled:
        assert await pooled.fetchval("show plan_cache_mode") == "force_generic_plan"
    async with await open_pool(url, size=2) as pool, pool.acquire() as reader:
        assert await reader.fetchval("show enable_seqscan") == "on"
        assert await reader.fetchval("show synchronous_commit") == "on"
    await connection.close()


async def test_a_session_left_by_another_client_is_reset(
    pooler_state: State, postgres_server: Postgres, database: Database
) -> None:
    # One server session without reset: settings, statements and roles of the last client are still there for the next.
    with pgbouncer(pooler_state, postgres_server, mode="session", server_reset_query="") as pooler:
        url = pooler.before(database).app_url
        somebody = await asyncpg.connect(url)
        for name, value in ELSE.items():
            await somebody.execute(f"set {name} = '{value}'")
        for number in range(1, 200):
            await somebody.execute(f"prepare __asyncpg_stmt_{number:x}__ as select {number}")
        await somebody.execute("select pg_advisory_lock(4711); set role counterfoil_reader")
        left = await backend_of(somebody)
        await somebody.close()
        ours = await connect(url)
        assert await backend_of(ours) == left
        assert await settings_of(ours) == HOT
        assert await ours.fetchval("select current_user") == APPLICATION
        assert await ours.fetchval("show search_path") == '"$user", public'
        assert await ours.fetchval("show default_transaction_read_only") == "off"
        assert await ours.fetchval("select count(*) from pg_locks where locktype = 'advisory'") == 0
        await ours.close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize(("size", "turns"), [(1, "0"), (4, "0"), (2, "1"), (3, "1"), (4, "1")])
async def test_any_other_mode_is_refused(
    *, pooler_state: State, postgres_server: Postgres, database: Database, mode: str, size: int, turns: str
) -> None:
    more = {"server_round_robin": turns, "default_pool_size": str(size)}
    with pgbouncer(pooler_state, postgres_server, mode=mode, **more) as pooler:
        through = pooler.before(database)
        await filled(through.app_url, size)
        with pytest.raises(Misconfigured, match=LENT):
            await connect(through.app_url)
        async with await open_pool(through.app_url, size=1) as pool:
            with pytest.raises(Misconfigured, match=LENT):
                await pool.fetch("select from token")
        with pytest.raises(Misconfigured, match=LENT):
            await refuse_unfit(through.app_url)
        with pytest.raises(Misconfigured, match=LENT):
            await migrate(through.owner_url, app_role=APPLICATION)
        with pytest.raises(Misconfigured, match=LENT):
            async with snapshot(through.app_url):
                pass


async def test_a_busy_transaction_pool_is_refused_too(
    pooler_state: State, postgres_server: Postgres, database: Database
) -> None:
    with pgbouncer(pooler_state, postgres_server, mode="transaction") as pooler:
        url = pooler.before(database).app_url
        busy, over = [], asyncio.Event()

        async def others() -> None:
            connection = await asyncpg.connect(url, statement_cache_size=0)
            while not over.is_set():
                await connection.execute("begin; select pg_sleep(0.002); commit")
            await connection.close()

        busy = [asyncio.create_task(others()) for _ in range(6)]
        await asyncio.sleep(0.2)
        for _ in range(5):
            with pytest.raises(Misconfigured, match=LENT):
                await connect(url)
        over.set()
        await asyncio.gather(*busy)


async def test_a_pooler_that_changes_its_mode_is_detected_by_new_connections(
    pooler_state: State, postgres_server: Postgres, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pgbouncer(pooler_state, postgres_server, mode="session") as pooler:
        url = pooler.before(database).app_url
        await (await connect(url)).close()
    monkeypatch.setattr(session, "_PROOF_SECONDS", 0.0)
    with pgbouncer(pooler_state, postgres_server, mode="transaction") as pooler:
        assert pooler.before(database).app_url == url
        with pytest.raises(Misconfigured, match=LENT):
            await connect(url)


async def test_migrations_work_through_a_session_pool(session_mode: Pooler, postgres_server: Postgres) -> None:
    postgres_server.run(f"create database pooled owner {OWNER};")
    through = session_mode.before(postgres_server.database("pooled"))
    assert await migrate(through.owner_url, app_role=APPLICATION)
    assert await migrate(through.owner_url, app_role=APPLICATION) == []
    async with snapshot(through.app_url) as found:
        assert await found.count() == 0


async def test_a_setting_that_a_session_does_not_keep_is_named(session_mode: Pooler, database: Database) -> None:
    url = session_mode.before(database).app_url
    # The server returns this value differently than it was set, as if the pooler had replaced it.
    with pytest.raises(Misconfigured, match=r"does not keep the setting statement_timeout: it is '1min' and .* '60s'"):
        await open_session(url, {"statement_timeout": "60s"})


async def test_a_pool_without_room_for_two_is_an_outage_and_no_refusal(
    pooler_state: State, postgres_server: Postgres, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PATIENCE_SECONDS", 0.3)
    with pgbouncer(pooler_state, postgres_server, mode="session", default_pool_size="1") as pooler:
        url = pooler.before(database).app_url
        with pytest.raises(TimeoutError):
            await connect(url)
