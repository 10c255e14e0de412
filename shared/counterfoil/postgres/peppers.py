"""The peppers, secrets that are digested again under a newer pepper, and what each pepper still protects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from counterfoil.core.principal import NIL
from counterfoil.core.subjects.peppers import PEPPER_SET, Pepper, PepperSet
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.subject_row import COLUMNS, state_of

_ANNOUNCED: Final = "counterfoil, peppers "

Redigested = tuple[bytes, bytes, int]
"""A stored digest, the digest of the same secret under another pepper, and that pepper."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored under a pepper. `alone` counts usable secrets that no other pepper which verifies has, too."""

    secrets: int = 0
    alone: int = 0
    recovery_codes: int = 0


async def stored_pepper_set(connection: Connection | Pool) -> PepperSet | None:
    """Return the present peppers; None before a process introduced the first."""
    row = await connection.fetchrow(
        f"select {COLUMNS} from subject where (account_id, subject_id) = ($1, $2)", NIL, PEPPER_SET
    )
    state = None if row is None else state_of(row)
    return state if isinstance(state, PepperSet) else None


@lru_cache(maxsize=16)
def peppers_of(details: str | None) -> tuple[Pepper, ...]:
    """Return the peppers in the details of their row; none if there is no row."""
    return () if details is None else msgspec.json.decode(details, type=_Details).peppers


class _Details(msgspec.Struct, frozen=True):
    peppers: tuple[Pepper, ...]


async def store_redigested(pool: Pool, digests: Sequence[Redigested]) -> int:
    """Store secrets under another pepper as well; return how many are new.

    It skips secrets of retired peppers: a process that did not know yet of the retirement may have accepted them.
    """
    done = await pool.execute(
        """
        insert into secret (digest, account_id, token_id, generation, pepper_id, scheme)
        select n.digest, s.account_id, s.token_id, s.generation, n.pepper_id, s.scheme
          from unnest($1::bytea[], $2::bytea[], $3::integer[]) as n(old, digest, pepper_id)
          join secret s on s.digest = n.old
         where s.pepper_id not in (
               select (p.state ->> 'number')::integer
                 from subject m
                cross join json_array_elements(m.details::json -> 'peppers') as p(state)
                where (m.account_id, m.subject_id) = ($4, $5)
                  and p.state ->> 'status' = 'retired')
         order by n.digest
            on conflict (digest) do nothing""",
        *zip(*digests, strict=True), NIL, PEPPER_SET,
    )  # fmt: skip
    return int(done.rpartition(" ")[2])


async def left(pool: Pool, retired: Iterable[int]) -> dict[int, Left]:
    """Return what each pepper still protects. Reads every secret."""
    # A secret is usable (`alive`) if it opens its token now, or after the token is resumed or renewed.
    rows = await pool.fetch(
        """
          with kept as (
               select account_id, token_id, generation, array_agg(pepper_id) as peppers
                 from secret
                group by account_id, token_id, generation),
               judged as (
               select k.peppers,
                      t.status <> 'revoked'
                      and case k.generation
                          when t.generation then t.epoch
                          when t.generation - 1 then case when t.previous_until > clock_timestamp()
                                                          then t.previous_epoch end
                          end >= coalesce((a.details::json ->> 'epoch')::integer, 0) as alive,
                      (select count(*) from unnest(k.peppers) as p(id) where p.id <> all ($1::integer[])) as verifying
                 from kept k
                 join token t on (t.account_id, t.token_id) = (k.account_id, k.token_id)
                 left join subject a on (a.account_id, a.subject_id)
                                      = (k.account_id, coalesce(k.account_id, k.account_id)))
        select p.id, count(*) as secrets, 0 as codes,
               count(*) filter (
               where j.alive
                 and j.verifying = case when p.id = any ($1::integer[]) then 0 else 1 end) as alone
          from judged j, unnest(j.peppers) as p(id)
         group by p.id
         union all
        select pepper_id, 0, count(*), 0 from recovery_code group by pepper_id""",
        list(retired),
    )
    found: dict[int, Left] = {}
    for row in rows:
        before = found.get(row["id"], Left())
        found[row["id"]] = Left(
            secrets=before.secrets + row["secrets"], alone=before.alone + row["alone"],
            recovery_codes=before.recovery_codes + row["codes"],
        )  # fmt: skip
    return found


async def announce(connection: Connection, peppers: Iterable[int]) -> None:
    """Show other processes which peppers this process has, until this connection is closed."""
    await connection.execute(
        "select set_config('application_name', $1, false)", _ANNOUNCED + " ".join(map(str, sorted(peppers)))
    )


async def announced(connection: Connection | Pool) -> list[frozenset[int]]:
    """Return the peppers of each connected process."""
    rows = await connection.fetch(
        """
        select application_name
          from pg_stat_activity
         where datname = current_database()
           and starts_with(application_name, $1)""",
        _ANNOUNCED,
    )
    return [frozenset(map(int, row["application_name"].removeprefix(_ANNOUNCED).split())) for row in rows]
