"""Uses of both secrets of a token during the grace after a rotation, and the graces that end while one is behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from msgspec.structs import astuple

from counterfoil.core.subjects.token.secret_uses import QUIET, UNUSED, NetworkUses, SecretUses
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.due import BEFORE_ALL, Due
from counterfoil.postgres.last_used import last_use_of
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import Tenant, tenant
from counterfoil.postgres.token_context import removed

OTHER: Final = "other"
"""The name that networks share beyond the first ones."""
MOST_NETWORKS: Final = 50
"""Networks of one secret that are distinguished: as many clients may share a token, or one may change its address."""

Use = tuple[UUID, UUID, int, int, str, int, datetime]
"""Account, token, the generation that the rotation made, that of the secret, network, how often, last at."""
Rotation = tuple[UUID, UUID, int]
"""Account, token, and the generation that the rotation made."""


async def add(pool: Pool, uses: Sequence[Use]) -> None:
    """Add these uses in one statement and in key order, so that two processes never deadlock."""
    await pool.execute(
        f"""
        insert into rotation_use as u (account_id, token_id, rotation, generation, network, count, last_at)
        select account_id, token_id, rotation, generation,
               case when known or kept + place <= {MOST_NETWORKS:d} then network else '{OTHER}' end as network,
               sum(count), max(last_at)
          from (select n.*, k.known, k.kept,
                       row_number() over (partition by account_id, token_id, rotation, generation, known
                                              order by network) as place
                  from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::text[], $6::bigint[],
                              $7::timestamptz[])
                    as n(account_id, token_id, rotation, generation, network, count, last_at)
                 cross join lateral (select count(*) as kept, coalesce(bool_or(r.network = n.network), false) as known
                                       from rotation_use r
                                      where (r.account_id, r.token_id) = (n.account_id, n.token_id)
                                        and (r.rotation, r.generation) = (n.rotation, n.generation)) as k) as placed
         group by 1, 2, 3, 4, 5
         order by 1, 2, 3, 4, 5
            on conflict (account_id, token_id, rotation, generation, network)
            do update set count = u.count + excluded.count, last_at = greatest(u.last_at, excluded.last_at)""",
        *zip(*sorted(uses), strict=True),
    )


async def uses_of(
    connection: Connection | Tenant, rotations: Iterable[Rotation]
) -> dict[tuple[UUID, UUID], SecretUses]:
    """Return the uses since each of these rotations, by account and token; those without any use are left out."""
    rows = await connection.fetch(
        """
        select u.account_id, u.token_id, u.rotation, u.network,
               sum(u.count) filter (where u.generation < u.rotation) as previous,
               max(u.last_at) filter (where u.generation < u.rotation) as previous_last_at,
               sum(u.count) filter (where u.generation = u.rotation) as present,
               max(u.last_at) filter (where u.generation = u.rotation) as present_last_at
          from unnest($1::uuid[], $2::uuid[], $3::integer[]) as k(account_id, token_id, rotation)
          join rotation_use u on (u.account_id, u.token_id, u.rotation) = (k.account_id, k.token_id, k.rotation)
         group by u.account_id, u.token_id, u.rotation, u.network
         order by u.account_id, u.token_id, previous desc nulls last, u.network""",
        *zip(*sorted(set(rotations)), strict=True),
    )
    return {
        key: SecretUses(found[0]["rotation"], tuple(_network_uses(each) for each in found))
        for key, group in groupby(rows, key=lambda row: (row["account_id"], row["token_id"]))
        if (found := list(group))
    }


class RotationState(NamedTuple):
    """The uses since a token's last rotation, and when its present secret was last verified, also after the grace."""

    uses: SecretUses
    verified_at: datetime | None


@repeated
async def rotation_of(pool: Pool, token: Token) -> RotationState:
    """Return the state of a token's last rotation."""
    async with tenant(pool, token.account, "rotation_use", "token_use") as connection:
        found = await uses_of(connection, [(token.account, token.id, token.generation)])
        verified_at = await last_use_of(connection, token.account, token.id, generation=token.generation)
    return RotationState(found.get((token.account, token.id), UNUSED), verified_at)


def _network_uses(row: asyncpg.Record) -> NetworkUses:
    return NetworkUses(
        network=row["network"],
        previous=int(row["previous"] or 0),
        previous_last_at=row["previous_last_at"],
        present=int(row["present"] or 0),
        present_last_at=row["present_last_at"],
    )


def in_grace(token: str = "t") -> str:  # noqa: S107 - an alias
    """Return the condition that a token's previous secret is accepted, but for a suspension."""
    return f"""({token}.previous_until > statement_timestamp()
           and {token}.status <> 'revoked'
           and ({token}.expires_at is null or {token}.expires_at > statement_timestamp())
           and not {removed(token)}
           and not exists (select
                             from subject a
                            where a.account_id = {token}.account_id
                              and a.subject_id = coalesce({token}.account_id, {token}.account_id)
                              and coalesce((a.details::json ->> 'epoch')::integer, 0) > {token}.previous_epoch))"""


def _behind(token: str) -> str:
    """Return the condition that a network has not moved to the present secret: `SecretUses.behind` in SQL."""
    quiet = f"least('{QUIET.total_seconds():.0f} s'::interval, ({token}.previous_until - {token}.grace_start) / 4)"
    return f"""exists (select
                         from rotation_use p
                         left join rotation_use n
                           on (n.account_id, n.token_id, n.rotation) = (p.account_id, p.token_id, p.rotation)
                          and n.generation = p.rotation
                          and n.network = p.network
                        where (p.account_id, p.token_id) = ({token}.account_id, {token}.token_id)
                          and (p.rotation, p.generation) = ({token}.generation, {token}.generation - 1)
                          and (n.last_at is null or n.last_at <= p.last_at
                               or p.last_at >= statement_timestamp() - {quiet}))"""


async def graces_ending(pool: Pool, *, notice: timedelta, after: Due | None, limit: int) -> list[Due]:
    """Return up to `limit` tokens whose grace is to be announced, after another one; the next to end first."""
    rows = await pool.fetch(
        f"""
        select t.previous_until, t.account_id, t.token_id
          from token t
         where t.previous_until > statement_timestamp()
           and t.previous_until <= statement_timestamp() + $5::interval
           and t.grace_announced is null
           and t.previous_until - least($5::interval, (t.previous_until - t.grace_start) / 2) <= statement_timestamp()
           and {in_grace("t")}
           and {_behind("t")}
           and (t.previous_until, t.account_id, t.token_id) > ($1::timestamptz, $2::uuid, $3::uuid)
         order by t.previous_until, t.account_id, t.token_id
         limit $4""",
        *astuple(after or BEFORE_ALL), limit, notice,
    )  # fmt: skip
    return [Due(row["previous_until"], row["account_id"], row["token_id"]) for row in rows]
