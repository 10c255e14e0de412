"""Through kills, rollbacks and open transactions, the log has every committed event once, in order and without gaps."""

from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from counterfoil_dev.postgres import Database
from uses.sealer_chaos import storm


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_fifty_writers_and_twenty_kills_lose_and_duplicate_nothing(database: Database, tmp_path: Path) -> None:
    blown = await storm(database, tmp_path, accounts=[uuid7() for _ in range(5)], writers=50, kills=20)
    assert blown.committed > 1_000
    assert blown.rolled_back > 100
