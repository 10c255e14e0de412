"""The forecast of expiries by day, the cliffs in it, and the tokens that may be moved away from a cliff."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core.cliffs import Cliff, CliffRule, Slots
from counterfoil.postgres import token_context
from counterfoil.postgres.alerts import ALERTING, RECENT, RECENT_USES
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.descent import LONGEST_SECONDS
from counterfoil.postgres.listing import EXPIRY, LAST_USED, Filter, Listed, conditions
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import Tenant, tenant
from counterfoil.postgres.token_row import listed, token_of

_OWNERS: Final = 3
"""Owners that each day names."""
MOST_MOVED: Final = 500
"""Tokens of one plan."""
_DAY: Final = timedelta(days=1)
_TABLES: Final = ("counted_use", "owner_quota", "subject", "token", "token_use")


class OwnerEnding(msgspec.Struct, frozen=True):
    """An owner, how many of their tokens expire on a day, and how many of those have recent uses."""

    type: str
    id: str
    tokens: int
    used: int


class Day(msgspec.Struct, frozen=True):
    """A day in UTC on which tokens expire, how many of them have recent uses, and the owners with the most of these."""

    day: date
    tokens: int
    used: int
    owners: tuple[OwnerEnding, ...]


class Forecast(msgspec.Struct, frozen=True):
    """The days on which tokens expire, from `at` to the end of the last of so many days, and the cliffs, in order."""

    at: datetime
    days: tuple[Day, ...]
    cliffs: tuple[Cliff, ...]

    @property
    def used(self) -> int:
        """How many tokens with recent uses expire."""
        return sum(day.used for day in self.days)


class Crowd(msgspec.Struct, frozen=True):
    """A forecast, how many used tokens end in each slot, and up to MOST_MOVED of those in crowded slots."""

    forecast: Forecast
    slots: Slots
    used: dict[int, int]
    tokens: tuple[Listed, ...]


_USED: Final = f"({RECENT_USES}) > 0"
# Without the cast it would be another comparison, which row-level security keeps from using the index.
_COMING: Final = f"""
              t.account_id = $1
          and ({EXPIRY}) > statement_timestamp()
          and ({EXPIRY}) < (current_date + $3::interval)::timestamptz
          and {ALERTING}"""
_FORECAST: Final = """
       by_owner as (
         select c.expires_at::date as day, c.owner_type, c.owner_id, count(*) as tokens,
                count(*) filter (where c.used) as used
           from coming c
          group by c.expires_at::date, c.owner_type, c.owner_id),
       placed as (
         select b.*, row_number() over (partition by b.day
                                            order by b.used desc, b.tokens desc, b.owner_type, b.owner_id) as place
           from by_owner b),
       days as (
         select p.day, sum(p.tokens)::bigint as tokens, sum(p.used)::bigint as used,
                json_agg(json_build_array(p.owner_type, p.owner_id, p.tokens, p.used) order by p.place)
                filter (where p.place <= {owners:d}) as owners
           from placed p
          group by p.day),
       windows as (
         select c.expires_at as starts_at,
                sum(count(*)) over (order by c.expires_at
                                    range between current row and $4::interval - interval '1 microsecond' following)
                ::bigint as used
           from coming c
          where c.used
          group by c.expires_at),
       full_windows as (
         select w.*, coalesce(w.starts_at >= lag(w.starts_at) over (order by w.starts_at) + $4::interval, true) as apart
           from windows w
          where w.used >= $5
            and w.used * 100 >= $6 * (select count(*) from coming c where c.used)),
       runs as (
         select f.*, count(*) filter (where f.apart) over (order by f.starts_at) as run from full_windows f),
       cliffs as (
         select distinct on (r.run) r.starts_at, r.used from runs r order by r.run, r.used desc, r.starts_at)
select statement_timestamp() as at,
       (select json_agg(json_build_array(d.day, d.tokens, d.used, d.owners) order by d.day)::text from days d) as days,
       (select json_agg(json_build_array(c.starts_at, c.used) order by c.starts_at)::text from cliffs c) as cliffs"""
_read_days: Final = msgspec.json.Decoder(tuple[tuple[date, int, int, list[tuple[str, str, int, int]]], ...]).decode
_read_cliffs: Final = msgspec.json.Decoder(tuple[tuple[datetime, int], ...]).decode


@repeated
async def forecast_of(pool: Pool, account: UUID, *, wanted: Filter, days: int, rule: CliffRule) -> Forecast:
    """Return which tokens expire from now to the end of the last of so many days in UTC, today among them."""
    async with tenant(pool, account) as connection:
        return await _forecast(connection, account, wanted=wanted, days=days, rule=rule)


@repeated
async def crowd_of(pool: Pool, account: UUID, *, wanted: Filter, movable: Filter, days: int, rule: CliffRule) -> Crowd:
    """Return the forecast, and the used tokens that are `movable` in the slots of its cliffs, all at one moment."""
    async with tenant(pool, account, *_TABLES) as connection:
        forecast = await _forecast(connection, account, wanted=wanted, days=days, rule=rule)
        slots = Slots(forecast.at.replace(hour=0, minute=0, second=0, microsecond=0), rule.window)
        used = await _used_by_slot(connection, account, wanted, days, slots) if forecast.cliffs else {}
        first = slots.crowded(forecast.cliffs)
        crowded = sorted({*first, *(slot + 1 for slot in first)})
        return Crowd(forecast, slots, used, await _tokens(connection, account, movable, slots, crowded))


async def _forecast(connection: Tenant, account: UUID, *, wanted: Filter, days: int, rule: CliffRule) -> Forecast:
    arguments: list[object] = [account, RECENT, days * _DAY, rule.window, rule.least, rule.percent]
    where = " and ".join([_COMING, *conditions(wanted, arguments)])
    await connection.execute(f"set local statement_timeout = '{LONGEST_SECONDS}s'")
    row = await connection.fetchrow(
        f"""
  with coming as materialized (
         select t.expires_at, t.owner_type, t.owner_id, {_USED} as used
           from token t
          where {where}),{_FORECAST.format(owners=_OWNERS)}""",
        *arguments,
        timeout=LONGEST_SECONDS + 5,
    )
    if row is None:
        raise LookupError("a statement without a table has a row")
    return _forecast_of(row)


def _forecast_of(row: asyncpg.Record) -> Forecast:
    return Forecast(
        row["at"],
        tuple(
            Day(day, tokens, used, tuple(OwnerEnding(*owner) for owner in owners))
            for day, tokens, used, owners in _read_days(row["days"] or "[]")
        ),
        tuple(Cliff(starts_at, used) for starts_at, used in _read_cliffs(row["cliffs"] or "[]")),
    )


async def _used_by_slot(connection: Tenant, account: UUID, wanted: Filter, days: int, slots: Slots) -> dict[int, int]:
    arguments: list[object] = [account, RECENT, days * _DAY, slots.start, slots.width.total_seconds()]
    where = " and ".join([_COMING, *conditions(wanted, arguments)])
    rows = await connection.fetch(
        f"""
        select floor(extract(epoch from t.expires_at - $4::timestamptz) / $5::float8)::integer as slot,
               count(*) as used
          from token t
         where {where}
           and {_USED}
         group by slot""",
        *arguments,
        timeout=LONGEST_SECONDS + 5,
    )
    return {row["slot"]: row["used"] for row in rows}


async def _tokens(
    connection: Tenant, account: UUID, movable: Filter, slots: Slots, crowded: Sequence[int]
) -> tuple[Listed, ...]:
    """Return used tokens of the crowded slots, the ones that expire last first: they have the most time."""
    begins = [slots.begin(slot) for slot in crowded]
    arguments: list[object] = [account, RECENT, begins, slots.width]
    where = " and ".join([ALERTING, *conditions(movable, arguments)])
    rows = await connection.fetch(
        f"""
        select {listed("t")}, {LAST_USED} as last_used_at, statement_timestamp() as clock, {token_context.COLUMNS}
          from unnest($3::timestamptz[]) as s(begins_at)
         cross join lateral (select c.*
                               from token c
                              where c.account_id = $1
                                and ({EXPIRY.replace("t.", "c.")}) >= s.begins_at
                                and ({EXPIRY.replace("t.", "c.")}) < s.begins_at + $4::interval
                                and ({EXPIRY.replace("t.", "c.")}) > statement_timestamp()
                             offset 0) as t
               {token_context.joined("t")}
         where {where}
           and {_USED}
         order by t.expires_at desc, t.token_id
         limit {MOST_MOVED:d}""",
        *arguments,
        timeout=LONGEST_SECONDS + 5,
    )
    return tuple(
        Listed(token_of(row), token_context.context_of(row), row["last_used_at"], row["clock"], []) for row in rows
    )
