"""Lists of accounts, scopes and sets of scopes, by name."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from counterfoil.core.subjects.account import Account
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.subject_row import COLUMNS, S, states, states_in
from counterfoil.postgres.tenant_connection import tenant


@repeated
async def by_name(pool: Pool, account: UUID, kind: tuple[str, type[S]], *, after: str | None, limit: int) -> list[S]:
    """Return up to `limit` active subjects of a kind whose name comes after this one, in the order of their names."""
    async with tenant(pool, account) as connection:
        return await states(
            connection, kind[1],
            """    account_id = $1
               and kind = $2
               and status = 'active'
               and ($3::text is null or name collate "C" > $3)
             order by name collate "C"
             limit $4""",
            account, kind[0], after, limit,
        )  # fmt: skip


@repeated
async def those(pool: Pool, account: UUID, ids: list[UUID], kind: type[S]) -> list[S]:
    """Return the active ones of these subjects of this kind."""
    async with tenant(pool, account) as connection:
        which = "account_id = $1 and subject_id = any($2::uuid[]) and status = 'active'"
        return await states(connection, kind, which, account, ids)


async def family(pool: Pool, account: UUID, *, after: tuple[datetime, UUID] | None, limit: int) -> list[Account]:
    """Return the account and those that it opened, after a place (when the last one was opened, and its id)."""
    # Without row-level security: it hides the accounts that an account opened.
    rows = await pool.fetch(
        f"""
        select {COLUMNS}
          from subject
         where kind = 'account'
           and (account_id = $1 or details::json ->> 'parent' = $2)
           and ($3::timestamptz is null or (created_at, account_id) > ($3, $4::uuid))
         order by created_at, account_id
         limit $5""",
        account, str(account), *(after or (None, None)), limit,
    )  # fmt: skip
    return states_in(rows, Account)
