"""Whether the database answers."""

from __future__ import annotations

from .connection import Pool


async def ask(pool: Pool) -> None:
    """Return once the database has answered; otherwise raise whatever kept it from doing so."""
    await pool.fetchval("select 1")
