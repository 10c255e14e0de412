"""The session settings that we rely on do not depend on defaults of the server."""

import asyncpg
import pytest

from counterfoil.postgres.connection import connect, open_pool
from counterfoil_dev.postgres import APPLICATION, Database, Postgres

OURS = {
    "synchronous_commit": ("off", "on"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "client_min_messages": ("error", "warning"),
    "timezone": ("Asia/Kathmandu", "UTC"),
    "statement_timeout": ("7s", "30s"),
}


@pytest.mark.parametrize("scope", ["database", "role"])
async def test_no_default_of_the_server_changes_needed_settings(
    database: Database, postgres_server: Postgres, scope: str
) -> None:
    where = f"database {database.name}" if scope == "database" else f"role {APPLICATION} in database {database.name}"
    for setting, (default, _) in OURS.items():
        postgres_server.run(f"alter {where} set {setting} = '{default}'")
    connection = await connect(database.app_url)
    seen = {setting: await connection.fetchval(f"show {setting}") for setting in OURS}
    await connection.close()
    assert seen == {setting: ours for setting, (_, ours) in OURS.items()}
    async with await open_pool(database.app_url, size=1) as pool:
        assert seen == {setting: await pool.fetchval(f"show {setting}") for setting in OURS}


async def test_the_hot_path_waits_only_briefly_for_a_lock(database: Database) -> None:
    connection = await connect(database.app_url)
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("begin; lock table token in access exclusive mode")
    with pytest.raises(asyncpg.LockNotAvailableError):
        await connection.fetch("select from token")
    await owner.close()
    await connection.close()
