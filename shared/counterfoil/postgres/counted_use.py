"""Count limited uses before they are accepted."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from counterfoil.postgres.connection import Pool
from counterfoil.postgres.tenant_connection import Tenant

Limited = tuple[UUID, UUID]
"""An account, and a token of it or the quota of an owner."""


async def take(pool: Pool, wanted: Iterable[tuple[UUID, UUID, int, int]]) -> dict[Limited, int]:
    """Count uses, each subject once: account, subject, how many are wanted and how many there may be in all.

    Returns how many were granted of each; one that is left out has none left. In key order, so that two processes
    never wait in a circle.
    """
    most = "($4::bigint[])[array_position($2::uuid[], c.subject_id)]"
    rows = await pool.fetch(
        f"""
        insert into counted_use as c (account_id, subject_id, used, granted)
        select w.account_id, w.subject_id, least(w.wanted, w.most), least(w.wanted, w.most)
          from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) as w(account_id, subject_id, wanted, most)
            on conflict (account_id, subject_id) do update
           set used = c.used + least(excluded.granted, {most} - c.used),
               granted = least(excluded.granted, {most} - c.used)
         where c.used < {most}
        returning c.account_id, c.subject_id, c.granted""",
        *zip(*sorted(wanted), strict=True),
    )
    return {(row["account_id"], row["subject_id"]): row["granted"] for row in rows}


async def used(connection: Tenant, account: UUID, subjects: list[UUID]) -> dict[UUID, int]:
    """Return how many uses each of these subjects has; subjects that were never counted are omitted."""
    rows = await connection.fetch(
        "select subject_id, used from counted_use where account_id = $1 and subject_id = any($2::uuid[])",
        account, subjects,
    )  # fmt: skip
    return {row["subject_id"]: row["used"] for row in rows}
