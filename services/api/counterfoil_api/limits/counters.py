"""Runs counter steps in Valkey while it answers, else in this process alone; a lost Valkey delays no request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import chain, count
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from counterfoil.postgres.gather import Gather
from counterfoil.uses.repeating import Repeating
from counterfoil_api.limits.counting import NOTE, Cells, Step, milliseconds
from counterfoil_api.metrics import LIMITS_SHARED

log = structlog.get_logger()

PREFIX: Final = "counterfoil:limits:"
PATIENCE_SECONDS: Final = 1.0
"""If Valkey does not answer within this time, the step runs in this process."""
_GRACE_SECONDS: Final = 0.05
_PAUSE_SECONDS: Final = 1
_LOST: Final = (RedisError, OSError, TimeoutError)

Run = tuple[int, Step, str, tuple[int, ...]]


class Counters:
    """Runs steps. Steps that are requested together share one script call; none waits for a Valkey that was lost."""

    def __init__(self, valkey: Redis | None) -> None:
        self._valkey = valkey
        self._cells = Cells()
        self._runs: Gather[Run, list[int]] = Gather(self._fetch)
        self._serials = count()
        self._shared = valkey is not None
        LIMITS_SHARED.set(self._shared)

    @property
    def shared(self) -> bool:
        """Whether all processes count together; the answer is at most a second old."""
        return self._shared

    async def do(self, step: Step, key: str, *args: int) -> list[int]:
        """Run one step, in Valkey if it answers."""
        if self._shared:
            try:
                return await self._runs.get((next(self._serials), step, PREFIX + key, args)) or []
            except _LOST as error:
                self._lost(error)
        return step.here(self._cells, key, args, milliseconds())

    async def look(self) -> None:
        """Check whether Valkey counts; no request waits for this."""
        try:
            # A step and no ping: a Valkey whose memory is full answers pings.
            await self._fetch([(0, NOTE, f"{PREFIX}watched", (_PAUSE_SECONDS * 10_000,))])
        except _LOST as error:
            self._lost(error)
        else:
            self._found()

    async def _fetch(self, runs: list[Run]) -> dict[Run, list[int]]:
        """Run steps in Valkey, with a generous timeout: giving up a busy Valkey would reset every count."""
        running = asyncio.ensure_future(self._run_all(runs))
        try:
            # Not `asyncio.timeout`: after a pause of this process it would discard an answer that has already arrived.
            for seconds in (PATIENCE_SECONDS, _GRACE_SECONDS):
                if (await asyncio.wait({running}, timeout=seconds))[0]:
                    return running.result()
        finally:
            running.cancel()
        raise TimeoutError

    async def _run_all(self, runs: list[Run]) -> dict[Run, list[int]]:
        assert self._valkey is not None  # noqa: S101 - `do` and `look` call only then
        by_step: dict[tuple[Step, int], list[Run]] = {}
        for run in runs:
            by_step.setdefault((run[1], len(run[3])), []).append(run)
        answers: dict[Run, list[int]] = {}
        for (step, width), group in by_step.items():
            keys, args = (run[2] for run in group), chain.from_iterable(run[3] for run in group)
            reply: bytes = await self._valkey.eval(_together(step), len(group), *keys, width, *args)
            answers |= zip(group, _numbers(reply), strict=True)
        return answers

    def _lost(self, error: Exception) -> None:
        if self._shared:
            log.warning("limits_alone", error=type(error).__name__)
            self._shared = False
            LIMITS_SHARED.set(0)

    def _found(self) -> None:
        if not self._shared:
            log.info("limits_shared")
            self._shared = True
            LIMITS_SHARED.set(1)


@lru_cache
def _together(step: Step) -> str:
    """Return one script for many runs of a step. It replies with one text: thousands of numbers are slow to parse."""
    return f"""
local function step(KEYS, ARGV)
{step.lua}
end
local width, reply = tonumber(ARGV[1]), {{}}
for i, key in ipairs(KEYS) do
  local args = {{}}
  for j = 1, width do args[j] = ARGV[1 + (i - 1) * width + j] end
  for _, number in ipairs(step({{key}}, args)) do reply[#reply + 1] = string.format('%.0f', number) end
  reply[#reply + 1] = ';'
end
return table.concat(reply, ' ')"""


def _numbers(reply: bytes) -> list[list[int]]:
    return [[int(number) for number in each.split()] for each in reply.split(b";")[:-1]]


@asynccontextmanager
async def open_counters(url: str) -> AsyncIterator[Counters]:
    """Count in the Valkey at this URL, or in this process alone if there is no URL."""
    if not url:
        yield Counters(None)
        return
    valkey = Redis.from_url(
        url,
        socket_connect_timeout=None,  # PATIENCE_SECONDS applies
        socket_timeout=None,
        retry=Retry(NoBackoff(), 1),  # for a stale connection
    )
    counters = Counters(valkey)
    watching = Repeating(counters.look, seconds=_PAUSE_SECONDS, failure_event="limits_not_watched")
    watching.start()
    try:
        yield counters
    finally:
        await watching.stop()
        await valkey.aclose()
