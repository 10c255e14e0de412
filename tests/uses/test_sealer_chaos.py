"""Whatever is killed, rolled back or left open: the log has every committed event once, in order and without a gap."""

from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from counterfoil_dev.postgres import Database
from uses.sealer_chaos import storm


async def test_sealers_that_are_killed_lose_nothing_and_double_nothing(database: Database, tmp_path: Path) -> None:
    blown = await storm(database, tmp_path, accounts=[uuid7(), uuid7()], writers=12, kills=3)
    assert blown.committed > 50
    assert blown.rolled_back > 5


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_fifty_writers_and_twenty_kills_lose_nothing_and_double_nothing(
    database: Database, tmp_path: Path
) -> None:
    blown = await storm(database, tmp_path, accounts=[uuid7() for _ in range(5)], writers=50, kills=20)
    assert blown.committed > 1_000
    assert blown.rolled_back > 100
