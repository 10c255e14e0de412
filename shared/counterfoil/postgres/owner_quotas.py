"""The table of quotas of owners, which look-ups join, and the count of an owner's live tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from counterfoil.core.owners import can_be, checked_owner
from counterfoil.core.principal import Owner
from counterfoil.core.subjects.owner_quota import RemoveQuota, SetQuota
from counterfoil.core.subjects.token.live_tokens import Room
from counterfoil.core.subjects.token.state import SESSION
from counterfoil.core.unit_of_work import Done
from counterfoil.postgres import counted_use
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.store import Store
from counterfoil.postgres.tenant_connection import Tenant, tenant

OwnerKey = tuple[UUID, Owner]
"""An account and an owner there."""

_LIMITED: Final = """
        select q.account_id, q.owner_type, q.owner_id, q.max_tokens
          from owner_quota q
         where (q.account_id, q.owner_type, q.owner_id)
            in (select * from unnest($1::uuid[], $2::text[], $3::text[]))
           and q.max_tokens is not null
         order by q.account_id, q.owner_type, q.owner_id"""


async def hold_rooms(connection: Connection, owners: Iterable[OwnerKey]) -> dict[OwnerKey, Room]:
    """Lock the quotas of these owners that limit tokens, and return how many live tokens each owner has.

    Other transactions that may add a token to one of them wait. The locks are taken in the order of the keys, so that
    two transactions cannot deadlock.
    """
    # Two statements: the count follows the locks, so that it includes all tokens that were committed before.
    rows = await connection.fetch(f"{_LIMITED} for update of q", *_columns(owners))
    most = {(row["account_id"], Owner(row["owner_type"], row["owner_id"])): row["max_tokens"] for row in rows}
    return await _rooms(connection, most) if most else {}


@repeated
async def taken(pool: Pool, account: UUID, quotas: dict[UUID, Owner]) -> dict[UUID, tuple[int, int]]:
    """Return for each quota how many live tokens its owner has, without sessions, and how many uses were counted."""
    async with tenant(pool, account, "counted_use", "token") as connection:
        live = await _rooms(connection, {(account, owner): 0 for owner in quotas.values()})
        used = await counted_use.used(connection, account, list(quotas))
    return {quota: (live[account, owner].live, used.get(quota, 0)) for quota, owner in quotas.items()}


async def _rooms(connection: Connection | Tenant, most: dict[OwnerKey, int]) -> dict[OwnerKey, Room]:
    rows = await connection.fetch(
        f"""
          with now as materialized (select clock_timestamp() as at)
        select k.account_id, k.owner_type, k.owner_id, n.at, l.live
          from unnest($1::uuid[], $2::text[], $3::text[]) as k(account_id, owner_type, owner_id)
         cross join now n
         cross join lateral (select count(*) as live
                               from token t
                              where t.account_id = k.account_id
                                and t.owner_id = k.owner_id
                                and t.owner_type = k.owner_type
                                and t.status <> 'revoked'
                                and (t.expires_at is null or t.expires_at > n.at)
                                and right(t.dialect, {len(SESSION):d}) <> '{SESSION}') as l""",
        *_columns(most),
    )
    keys = {(row["account_id"], Owner(row["owner_type"], row["owner_id"])): row for row in rows}
    return {key: Room(most[key], row["live"], row["at"]) for key, row in keys.items()}


class OwnerQuotaStore(Store):
    """The store of quotas, which keeps the rows that look-ups join."""

    async def keep(self, connection: Connection, done: Sequence[Done]) -> None:
        """Write the rows, and delete those of removed quotas."""
        for each in done:
            match each.command:
                case SetQuota():
                    await _keep(connection, each.command)
                case RemoveQuota():
                    await _remove(connection, each.command)


async def _keep(connection: Connection, command: SetQuota) -> None:
    owner = checked_owner(command.owner)
    await connection.execute(
        """
        insert into owner_quota (account_id, owner_type, owner_id, subject_id, rate_limit, max_uses, max_tokens)
        values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (account_id, owner_type, owner_id) do update
           set rate_limit = excluded.rate_limit, max_uses = excluded.max_uses, max_tokens = excluded.max_tokens""",
        command.account, owner.type, owner.id, command.id, command.rate_limit, command.max_uses, command.max_tokens,
    )  # fmt: skip


async def _remove(connection: Connection, command: RemoveQuota) -> None:
    owner = checked_owner(command.owner)
    await connection.execute(
        "delete from owner_quota where (account_id, owner_type, owner_id) = ($1, $2, $3)",
        command.account, owner.type, owner.id,
    )  # fmt: skip


def _columns(owners: Iterable[OwnerKey]) -> tuple[list[UUID], list[str], list[str]]:
    # Text that cannot be an owner has no quota, and is refused later. It may be a secret, so it is not sent in a query.
    wanted = [(account, owner) for account, owner in owners if can_be(owner)]
    return [account for account, _ in wanted], [owner.type for _, owner in wanted], [owner.id for _, owner in wanted]
