"""Small numbers for the tokens and users of each account, for people and for vendors with integer ids."""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from itertools import count
from typing import Final, Literal
from uuid import UUID

from counterfoil.postgres.connection import Pool
from counterfoil.postgres.gather import Gather

Numbered = Literal["token", "user"]
_RETURNED_LIMIT: Final = 1_000
"""Returned numbers that are kept for one account; more are dropped, which only leaves gaps."""
_GREATEST: Final[dict[Numbered, str]] = {
    "token": "select max(t.number) from token t where t.account_id = w.account_id",
    "user": "select max(s.number) from subject s where s.account_id = w.account_id and s.kind = 'user'",
}


def _take(kind: Numbered) -> str:
    # A short transaction that does not wait for the disk. The WAL is written in order, so the later commit of the
    # creation also makes the counter durable. It locks the counters in the order of accounts, so it cannot deadlock.
    return f"""
  with taken as (
         insert into number_counter as c (account_id, kind, last)
         select w.account_id, '{kind}', w.n + coalesce(({_GREATEST[kind]}), 0)
           from unnest($1::uuid[], $2::bigint[]) as w(account_id, n)
          order by w.account_id
             on conflict (account_id, kind) do update
            set last = c.last + (select w.n
                                   from unnest($1::uuid[], $2::bigint[]) as w(account_id, n)
                                  where w.account_id = c.account_id)
      returning c.account_id, c.last)
select account_id, last, set_config('synchronous_commit', 'off', true)
  from taken"""


class Numbers:
    """Takes numbers from the counter of an account, only as many as are needed and none in advance.

    Concurrent calls share a statement. A number that was not used is given back, and used before a new one is taken.
    """

    def __init__(self, pool: Pool, kind: Numbered = "token") -> None:
        self._pool = pool
        self._sql = _take(kind)
        self._returned: dict[UUID, list[int]] = {}
        self._turns = count()
        self._gather: Gather[tuple[UUID, int], int] = Gather(self._fetch)

    async def next(self, account: UUID) -> int:
        """Return a number that is unique in this account."""
        if returned := self._returned.get(account):
            number = heappop(returned)
            if not returned:
                del self._returned[account]
            return number
        taken = await self._gather.get((account, next(self._turns)))
        if taken is None:
            raise LookupError("the counter gave no number")
        return taken

    def give_back(self, account: UUID, number: int) -> None:
        """Return a number that was certainly not used, for the next call of `next`."""
        returned = self._returned.setdefault(account, [])
        if len(returned) < _RETURNED_LIMIT:
            heappush(returned, number)

    async def _fetch(self, turns: list[tuple[UUID, int]]) -> dict[tuple[UUID, int], int]:
        wanted = Counter(account for account, _ in turns)
        rows = await self._pool.fetch(self._sql, list(wanted), list(wanted.values()))
        numbers = {row["account_id"]: count(row["last"] - wanted[row["account_id"]] + 1) for row in rows}
        return {turn: next(numbers[turn[0]]) for turn in turns}
