"""The events of a token, or of another subject, from the log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from counterfoil.core.events import Fact
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.facts import facts_in
from counterfoil.postgres.halving import halving
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant

# Time never runs backwards within a subject.
_VERSION_AT: Final = halving("event", "at", kind="and kind = 'token'") + " select low from halving where low = high"


@repeated
async def events_of(
    pool: Pool,
    account: UUID,
    subject_id: UUID,
    *,
    after: int,
    limit: int,
    descending: bool = False,
    kind: str = "token",
) -> list[Fact]:
    """Return events with versions beyond `after`, in order: the oldest first, or (descending) the newest."""
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select entry, private
              from event
             where account_id = $1 and subject_id = $2 and kind = $5 and version {"<" if descending else ">"} $3
             order by version {"desc" if descending else "asc"}
             limit $4""",
            account, subject_id, after, limit, kind,
        )  # fmt: skip
    return facts_in(rows)


@repeated
async def changes_until(
    pool: Pool, account: UUID, token_id: UUID, *, at: datetime | None = None, version: int | None = None
) -> list[Fact]:
    """Return the events that led to a token's state at a moment or a version, in order.

    Of its exchanges it reads only the last one, because each exchange only replaces the time of the one before.
    """
    async with tenant(pool, account, "event") as connection:
        if version is None:
            moment = at or datetime.max.replace(tzinfo=UTC)
            version = await connection.fetchval(_VERSION_AT, account, token_id, moment)
        rows = await connection.fetch(
            """
            select entry, private, version
              from event
             where account_id = $1 and subject_id = $2 and kind = 'token' and type <> 'exchanged' and version <= $3
             union all
           (select entry, private, version
              from event
             where account_id = $1 and subject_id = $2 and kind = 'token' and type = 'exchanged' and version <= $3
             order by version desc
             limit 1)
             order by version""",
            account, token_id, version,
        )  # fmt: skip
    return facts_in(rows)


@repeated
async def happened_until(pool: Pool, account: UUID, subject_id: UUID, kind: str, at: datetime) -> list[Fact]:
    """Return the events of an account or a user (they have few) up to a moment, in order."""
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            """
            select entry, private
              from event
             where account_id = $1 and subject_id = $2 and kind = $3 and at <= $4
             order by version""",
            account, subject_id, kind, at,
        )  # fmt: skip
    return facts_in(rows)


@repeated
async def moment_of(pool: Pool, account: UUID, token_id: UUID, version: int) -> datetime | None:
    """Return the time of this version's event, or None if the token has no such version yet."""
    async with tenant(pool, account) as connection:
        moment: datetime | None = await connection.fetchval(
            "select at from event where account_id = $1 and subject_id = $2 and kind = 'token' and version = $3",
            account, token_id, version,
        )  # fmt: skip
    return moment
