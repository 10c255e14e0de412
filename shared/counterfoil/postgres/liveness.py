"""Whether the database answers, and what time it has."""

from __future__ import annotations

from datetime import datetime

from counterfoil.postgres.connection import Pool


async def ask(pool: Pool) -> None:
    """Return once the database has answered; otherwise raise whatever kept it from doing so."""
    await pool.fetchval("select 1")


async def database_time(pool: Pool) -> datetime:
    """Return the time on the database's clock."""
    now: datetime = await pool.fetchval("select clock_timestamp()")
    return now
