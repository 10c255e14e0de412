"""Every committed event gets its place, once, in an order that keeps causes before effects."""

import pytest

from counterfoil import commands
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all
from postgres.tenant import tenant_of


@pytest.mark.parametrize("chunk", [1, 2, 3, 5_000])
async def test_positions_are_gapless_in_the_log_and_in_each_account(database: Database, chunk: int) -> None:
    async with tenant_of(database) as ours, tenant_of(database) as theirs:
        for tenant in (ours, theirs, ours):
            token = await tenant.issue()
            await tenant.ask(commands.Revoke, token.id, reason="leaked")
        assert await seal_all(database.app_url, chunk=chunk) == 6
        rows = await ours.pool.fetch("select pos, account_id, account_pos, version from sealed order by pos")
        assert [row["pos"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert [row["account_pos"] for row in rows if row["account_id"] == ours.account] == [1, 2, 3, 4]
        assert [row["account_pos"] for row in rows if row["account_id"] == theirs.account] == [1, 2]
        assert [row["version"] for row in rows] == [1, 2] * 3
        assert await seal_all(database.app_url, chunk=chunk) == 6
