"""Which kinds of secrets from elsewhere there are at all."""

from __future__ import annotations

from counterfoil.foreign import Algorithm

from .connection import Pool


async def algorithms(pool: Pool) -> tuple[Algorithm, ...]:
    """Return the algorithms by which any imported secret is known."""
    # Said twice, so that the planner sees that the index of the imported ones holds all that is asked for.
    rows = await pool.fetch(
        """
        select a.scheme
          from (values ('sha256'), ('sha512')) as a(scheme)
         where exists (select from secret s where s.scheme = a.scheme and s.scheme <> 'counterfoil')
         order by a.scheme"""
    )
    return tuple(row["scheme"] for row in rows)
