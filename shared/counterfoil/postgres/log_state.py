"""The state of the sealed log: its size, its backlog, and when the sealer last reported."""

from __future__ import annotations

from typing import Final, NamedTuple

from counterfoil.postgres.connection import Pool

_COUNTED: Final = 5_000
"""How many events are read from either end of the possible backlog."""
_SILENT_SECONDS: Final = 10
_BEHIND_SECONDS: Final = 10
_OPEN_SECONDS: Final = 300


class LogState(NamedTuple):
    """The present log; the backlog is counted up to a bound, and the lag is the age of its oldest event."""

    size: int
    passes: int
    silent_seconds: float
    watermark_seconds: float
    backlog: int
    lag_seconds: float

    @property
    def silence(self) -> str | None:
        """Return whether no sealer runs."""
        if self.silent_seconds < _SILENT_SECONDS:
            return None
        return (
            f"No sealer has reported for {self.silent_seconds:.0f} s, so new events do not appear in the"
            " log. Start `counterfoil sealer`, or read in its log why it stopped."
        )

    @property
    def warnings(self) -> list[str]:
        """Return what an operator should check, each with what to do."""
        found = [self.silence] if self.silence else []
        if not found and self.lag_seconds >= _BEHIND_SECONDS:
            found.append(
                f"The sealer is behind: the oldest event that is not in the log yet is {self.lag_seconds:.0f} s old."
                " Wait while it catches up; if this grows, look at the load of the database."
            )
        if not found and self.watermark_seconds >= _OPEN_SECONDS:
            found.append(
                f"A transaction that writes has been open for {self.watermark_seconds:.0f} s or more. Find it in"
                " pg_stat_activity (the oldest xact_start with a backend_xid), and end it."
            )
        return found


async def log_state(pool: Pool) -> LogState:
    """Return the state of the log."""
    row = await pool.fetchrow(
        f"""
        select h.size, h.passes,
               extract(epoch from clock_timestamp() - h.passed_at)::float8 as silent_seconds,
               extract(epoch from clock_timestamp() - h.watermark_at)::float8 as watermark_seconds,
               waiting.backlog,
               greatest(0, coalesce(extract(epoch from clock_timestamp() - waiting.oldest), 0))::float8 as lag_seconds
          from head h
         cross join lateral (
               select count(*) as backlog, min(e.at) as oldest
                 from ((select account_id, subject_id, version, at
                          from event
                         where (epoch, xid) >= (h.epoch, h.watermark)
                         order by epoch, xid
                         limit {_COUNTED})
                       union
                       (select account_id, subject_id, version, at
                          from event
                         where (epoch, xid) >= (h.epoch, h.watermark)
                         order by epoch desc, xid desc
                         limit {_COUNTED})) e
                 left join lateral (
                      select true as sealed
                        from sealed s
                       where (s.account_id, s.subject_id, s.version) = (e.account_id, e.subject_id, e.version)
                       limit 1) s on true
                where s.sealed is null) waiting
         where h.log_id = 0"""
    )
    if row is None:
        raise LookupError("The table head has no row for log 0; `counterfoil migrate` makes it.")
    return LogState(**dict(row))
