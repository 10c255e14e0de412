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
"""How long a revocation is worked on before the next one has its turn."""
_AT_ONCE: Final = 2
"""Parts that one process works on at a time: while one is marked as done, the door works on the other."""
_SETTLING_SECONDS: Final = 1.0
"""How long a revocation waits for transactions of others before the next one has its turn."""
_LOOK_SECONDS: Final = 0.01
_EVERY_SECONDS: Final = 1.0
_REST_SECONDS: Final = 30.0
"""A part that could not be done as a whole rests for so long, so that it costs little and is logged seldom."""


@dataclass(slots=True)
class _Known:
    """What this process knows of an open bulk revocation: its last turn, and when it left which parts."""

    turn: float = 0.0
    left: dict[int, float] = field(default_factory=dict)
    warned: bool = False

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
        """Give every open revocation its turn; one that cannot continue now does not delay the others."""
        done = 0
        for revocation in await self._open():
            if self._over(ends):
                break
            self._known[revocation.id].turn = time.monotonic()
            try:
                done += await self._work_on(revocation, ends)
            except Unavailable as error:
                _log(revocation).warning("bulk_revocation_postponed", error=type(error).__name__)
        return done

    async def _open(self) -> list[BulkRevocation]:
        """Return the open ones, the one that waited longest first: a shift may end before all had their turn."""
        revocations = await sql.open_bulk_revocations(self._pool)
        self._known = {revocation.id: self._known.get(revocation.id, _Known()) for revocation in revocations}
        return sorted(revocations, key=lambda revocation: self._known[revocation.id].turn)

    async def _work_on(self, revocation: BulkRevocation, ends: float) -> int:
        if revocation.status == "accepted":
            await self._door.execute(
                StartBulkRevocation(account=revocation.account, id=revocation.id, by=_system(revocation))
            )
        done = await self._together(revocation, min(ends, time.monotonic() + _TURN_SECONDS))
        await self._finish(revocation)
        return done

    async def _together(self, revocation: BulkRevocation, until: float) -> int:
        """Work on parts side by side, and on all of them to the end: nothing continues after this call."""
        found = await asyncio.gather(*(self._parts(revocation, until) for _ in range(_AT_ONCE)), return_exceptions=True)
        done = 0
        for each in found:
            if isinstance(each, BaseException):
                raise each
            done += each
        return done

    async def _parts(self, revocation: BulkRevocation, until: float) -> int:
        known, done = self._known[revocation.id], 0
        while not self._over(until):
            async with sql.part_of(self._pool, revocation, last=list(known.left)) as taken:
                if taken is None or known.rests(taken[1].number):
                    break
                connection, part = taken
                failed, left = await self._revoke(revocation, part.tokens)
                if left:
                    known.leave(part.number)  # the part is repeated; its revoked tokens stay revoked
                else:
                    await sql.part_done(connection, revocation, part, failed=failed)
            done += len(part.tokens) - left
        return done

    async def _revoke(self, revocation: BulkRevocation, tokens: Sequence[UUID]) -> tuple[list[UUID], int]:
        """Revoke these tokens concurrently, so that they share transactions; each with its own answer.

        Return those that cannot be revoked, and how many failed: a refusal is an answer, a failure is tried again.
        """
        answers = await asyncio.gather(*(self._door.execute(_command(revocation, token)) for token in tokens),
                                       return_exceptions=True)  # fmt: skip
        failed, later = [], []
        for token, answer in zip(tokens, answers, strict=True):
            if isinstance(answer, Refusal) and not isinstance(answer, Unavailable):
                failed.append(token)
                _log(revocation).error("token_not_revoked", token_id=token, error=answer.detail)
            elif not isinstance(answer, Outcome):
                later.append(answer)
        if later:
            _log_later(revocation, later)
        return failed, len(later)

    async def _finish(self, revocation: BulkRevocation) -> None:
        far = await sql.progress(self._pool, revocation)
        if far.left or self._stopping:
            return
        if far.planned != revocation.total:  # parts are missing: "finished" must mean that all are revoked
            if not self._known[revocation.id].warned:  # once, and not with every call
                _log(revocation).error("bulk_revocation_incomplete", total=revocation.total, done=far.planned)
            self._known[revocation.id].warned = True
            return
        if not await self._ended_with_children(revocation, far.parts):
            return
        command = FinishBulkRevocation(
            account=revocation.account, id=revocation.id, by=_system(revocation), revoked=far.revoked, failed=far.failed
        )
        if (await self._door.execute(command)).facts:
            _log(revocation).info("bulk_revocation_finished", total=far.total, revoked=far.revoked, failed=far.failed)

    async def _ended_with_children(self, revocation: BulkRevocation, parts: int) -> bool:
        """Say whether its tokens have no children left; else add further parts, or leave it to the next call.

        Staged tokens are revoked and issue no more. A transaction that began before that may still commit a child, so
        this waits for it.
        """
        if revocation.children is None:
            return True
        since, until = await descent.moment(self._pool), time.monotonic() + _SETTLING_SECONDS
        while not await descent.settled(self._pool, since):
            if self._over(until):
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return await descent.stage_children(self._pool, revocation, parts=parts) == 0


def _command(revocation: BulkRevocation, token: UUID) -> Revoke:
    by = Principal(actor=revocation.creator, account=revocation.account, scopes=())
    return Revoke(
        account=revocation.account,
        id=token,
        by=by,
        reason=revocation.reason or "(erased)",
        bulk_revocation=revocation.id,
    )


def _system(revocation: BulkRevocation) -> Principal:
    return replace(SYSTEM, account=revocation.account)


def _log(revocation: BulkRevocation) -> structlog.stdlib.BoundLogger:
    bound: structlog.stdlib.BoundLogger = log.bind(account=revocation.account, bulk_revocation=revocation.id)
    return bound


def _log_later(revocation: BulkRevocation, later: Sequence[BaseException]) -> None:
    """Log in one line what is left for later; the door has logged each failure."""
    failures = [each for each in later if not isinstance(each, Unavailable)]
    write = _log(revocation).error if failures else _log(revocation).info
    errors = sorted({type(each).__name__ for each in later})
    write("tokens_left_for_later", tokens=len(later), errors=errors)


JOB: Final = Job(
    name="revoke", every_seconds=lambda _: _EVERY_SECONDS, open=lambda pool, door, _: BulkRevocations(pool, door)
)
