"""Executes bulk revocations: finds the open ones in Postgres, and revokes their tokens part by part through the door.

A row lock holds a part while a worker revokes its tokens: several workers never take the same part, and when a worker
dies, its part is free at once. A worker that repeats a part finds its tokens already revoked and does nothing.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from msgspec.structs import replace

from counterfoil.core.principal import SYSTEM, Principal
from counterfoil.core.refusals import Refusal, Unavailable
from counterfoil.core.subjects.bulk_revocation import BulkRevocation, FinishBulkRevocation, StartBulkRevocation
from counterfoil.core.subjects.token.commands import Revoke
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.postgres import bulk_revocations as sql
from counterfoil.postgres import descent
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.schema_changes import OUTDATED
from counterfoil_worker.job import Job, Shifts

log = structlog.get_logger()

_TURN_SECONDS: Final = 5.0
"""How long a job is worked on before the next one has its turn."""
_AT_ONCE: Final = 2
"""Parts that one process works on at a time: while one is marked as done, the door works on the other."""
_SETTLING_SECONDS: Final = 1.0
"""How long a job waits for transactions of others before the next one has its turn."""
_LOOK_SECONDS: Final = 0.01
_EVERY_SECONDS: Final = 1.0
_REST_SECONDS: Final = 30.0
"""A part that could not be done as a whole rests for so long, so that it costs little and is logged seldom."""


@dataclass(slots=True)
class _Known:
    """What this process knows of an open job: the time of its last turn, and which parts it left, and when."""

    turn: float = 0.0
    left: dict[int, float] = field(default_factory=dict)
    complained: bool = False

    def leave(self, part: int) -> None:
        self.left.pop(part, None)  # keeps the order in which they were left
        self.left[part] = time.monotonic()

    def rests(self, part: int) -> bool:
        return part in self.left and time.monotonic() < self.left[part] + _REST_SECONDS


class BulkRevocations(Shifts):
    """Works on all open bulk revocations; `work` returns how many tokens it went through."""

    name = "revoke"
    seconds = 20.0
    postponing = (*LOST, *OUTDATED)

    def __init__(self, pool: Pool, door: Door) -> None:
        super().__init__()
        self._pool = pool
        self._door = door
        self._known: dict[UUID, _Known] = {}

    def _postpone(self, error: Exception) -> None:
        super()._postpone(error)
        for known in self._known.values():  # parts were left because of this, and need not rest
            known.left.clear()

    async def _round(self, ends: float) -> int:
        """Give every open job its turn; one that cannot continue now does not delay the others."""
        done = 0
        for job in await self._open():
            if self._over(ends):
                break
            self._known[job.id].turn = time.monotonic()
            try:
                done += await self._work_on(job, ends)
            except Unavailable as error:
                log.warning("job_postponed", account=job.account, job=job.id, error=type(error).__name__)
        return done

    async def _open(self) -> list[BulkRevocation]:
        """Return the open jobs, the one that waited longest first: a shift may end before all had their turn."""
        jobs = await sql.open_bulk_revocations(self._pool)
        self._known = {job.id: self._known.get(job.id, _Known()) for job in jobs}
        return sorted(jobs, key=lambda job: self._known[job.id].turn)

    async def _work_on(self, job: BulkRevocation, ends: float) -> int:
        if job.status == "accepted":
            await self._door.execute(StartBulkRevocation(account=job.account, id=job.id, by=_system(job)))
        done = await self._together(job, min(ends, time.monotonic() + _TURN_SECONDS))
        await self._finish(job)
        return done

    async def _together(self, job: BulkRevocation, until: float) -> int:
        """Work on parts side by side, and on all of them to the end: nothing continues after this call."""
        found = await asyncio.gather(*(self._parts(job, until) for _ in range(_AT_ONCE)), return_exceptions=True)
        done = 0
        for each in found:
            if isinstance(each, BaseException):
                raise each
            done += each
        return done

    async def _parts(self, job: BulkRevocation, until: float) -> int:
        known, done = self._known[job.id], 0
        while not self._over(until):
            async with sql.part_of(self._pool, job, last=list(known.left)) as taken:
                if taken is None or known.rests(taken[1].number):
                    break
                connection, part = taken
                failed, left = await self._revoke(job, part.tokens)
                if left:
                    known.leave(part.number)  # the part is repeated; its revoked tokens stay revoked
                else:
                    await sql.part_done(connection, job, part, failed=failed)
            done += len(part.tokens) - left
        return done

    async def _revoke(self, job: BulkRevocation, tokens: Sequence[UUID]) -> tuple[list[UUID], int]:
        """Revoke these tokens concurrently, so that they share transactions; each with its own answer.

        Return those that cannot be revoked, and how many failed: a refusal is an answer, a failure is tried again.
        """
        answers = await asyncio.gather(*(self._door.execute(_command(job, token)) for token in tokens),
                                       return_exceptions=True)  # fmt: skip
        failed, later = [], []
        for token, answer in zip(tokens, answers, strict=True):
            if isinstance(answer, Refusal) and not isinstance(answer, Unavailable):
                failed.append(token)
                log.error("token_not_revoked", account=job.account, job=job.id, token_id=token, error=answer.detail)
            elif not isinstance(answer, Outcome):
                later.append(answer)
        if later:
            _log_later(job, later)
        return failed, len(later)

    async def _finish(self, job: BulkRevocation) -> None:
        far = await sql.progress(self._pool, job)
        if far.left or self._stopping:
            return
        if far.planned != job.total:  # parts are missing: "finished" must mean that all are revoked
            if not self._known[job.id].complained:  # once, and not with every call
                log.error("job_incomplete", account=job.account, job=job.id, total=job.total, done=far.planned)
            self._known[job.id].complained = True
            return
        if not await self._ended_with_children(job, far.parts):
            return
        command = FinishBulkRevocation(
            account=job.account, id=job.id, by=_system(job), revoked=far.revoked, failed=far.failed
        )
        if (await self._door.execute(command)).facts:
            log.info("job_finished", job=job.id, total=far.total, revoked=far.revoked, failed=far.failed)

    async def _ended_with_children(self, job: BulkRevocation, parts: int) -> bool:
        """Say whether no children of the job's tokens are left; else add further parts, or leave it to the next call.

        Staged tokens are revoked and issue no more. A transaction that began before that may still commit a child, so
        this waits for it.
        """
        if job.children is None:
            return True
        since, until = await descent.moment(self._pool), time.monotonic() + _SETTLING_SECONDS
        while not await descent.settled(self._pool, since):
            if self._over(until):
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return await descent.stage_children(self._pool, job, parts=parts) == 0


def _command(job: BulkRevocation, token: UUID) -> Revoke:
    by = Principal(actor=job.creator, account=job.account, scopes=())
    return Revoke(account=job.account, token_id=token, by=by, reason=job.reason or "(erased)", bulk_revocation=job.id)


def _system(job: BulkRevocation) -> Principal:
    return replace(SYSTEM, account=job.account)


def _log_later(job: BulkRevocation, later: Sequence[BaseException]) -> None:
    """Log in one line what is left for later; the door has logged each failure."""
    write = log.info if all(isinstance(each, Unavailable) for each in later) else log.error
    errors = sorted({type(each).__name__ for each in later})
    write("tokens_left_for_later", account=job.account, job=job.id, tokens=len(later), errors=errors)


JOB: Final = Job(name="revoke", every_seconds=lambda _: _EVERY_SECONDS, open=BulkRevocations)
