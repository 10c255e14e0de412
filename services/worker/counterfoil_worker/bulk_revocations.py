"""Executes bulk revocations: reads the open ones from Postgres and revokes their tokens part by part.

A worker locks the row of a part while it revokes the tokens of the part, so no other worker takes the same part. If
the worker dies, the lock ends at once. If a part is repeated, the tokens that are revoked already stay as they are.
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
"""How long a worker works on one revocation before it continues with the next one."""
_AT_ONCE: Final = 2
"""How many parts a process works on at a time: while it marks one as done, the door executes the other."""
_SETTLING_SECONDS: Final = 1.0
"""How long a revocation waits for open transactions before the worker continues with the next revocation."""
_LOOK_SECONDS: Final = 0.01
_EVERY_SECONDS: Final = 1.0
_REST_SECONDS: Final = 30.0
"""A part that failed is tried again after this time, so that it costs little and is logged seldom."""


@dataclass(slots=True)
class _Known:
    """An open bulk revocation in this process: when it was worked on last, and when which of its parts failed."""

    turn: float = 0.0
    left: dict[int, float] = field(default_factory=dict)
    warned: bool = False

    def leave(self, part: int) -> None:
        self.left.pop(part, None)  # moves it to the end: the order is by time
        self.left[part] = time.monotonic()

    def rests(self, part: int) -> bool:
        return part in self.left and time.monotonic() < self.left[part] + _REST_SECONDS


class BulkRevocations(Shifts):
    """Executes all open bulk revocations; `work` returns how many tokens it handled."""

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
        for known in self._known.values():  # the database failed, not these parts: try them again at once
            known.left.clear()

    async def _round(self, ends: float) -> int:
        """Work on every open revocation for some seconds; one that cannot continue does not delay the others."""
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
        """Return the open revocations; the first one has waited longest, since a shift may end before the last one."""
        revocations = await sql.open_bulk_revocations(self._pool)
        self._known = {revocation.id: self._known.get(revocation.id, _Known()) for revocation in revocations}
        return sorted(revocations, key=lambda revocation: self._known[revocation.id].turn)

    async def _work_on(self, revocation: BulkRevocation, ends: float) -> int:
        if revocation.status == "accepted":
            await self._door.execute(
                StartBulkRevocation(account=revocation.account, id=revocation.id, by=_system(revocation))
            )
        done = await self._parts_at_once(revocation, min(ends, time.monotonic() + _TURN_SECONDS))
        await self._finish(revocation)
        return done

    async def _parts_at_once(self, revocation: BulkRevocation, until: float) -> int:
        """Work on several parts at a time, and return when none of them is under way any more."""
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
                    known.leave(part.number)  # the part is tried again; its revoked tokens stay revoked
                else:
                    await sql.part_done(connection, revocation, part, failed=failed)
            done += len(part.tokens) - left
        return done

    async def _revoke(self, revocation: BulkRevocation, tokens: Sequence[UUID]) -> tuple[list[UUID], int]:
        """Revoke these tokens concurrently, so that their commands share batches.

        Return the tokens that the door refused for good, and how many commands failed and are tried again.
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
        if far.planned != revocation.total:  # parts are missing; "finished" must mean that all tokens are revoked
            if not self._known[revocation.id].warned:  # logged once, not in every round
                _log(revocation).error("bulk_revocation_incomplete", total=revocation.total, done=far.planned)
            self._known[revocation.id].warned = True
            return
        if not await self._has_no_children_left(revocation, far.parts):
            return
        command = FinishBulkRevocation(
            account=revocation.account, id=revocation.id, by=_system(revocation), revoked=far.revoked, failed=far.failed
        )
        if (await self._door.execute(command)).facts:
            _log(revocation).info("bulk_revocation_finished", total=far.total, revoked=far.revoked, failed=far.failed)

    async def _has_no_children_left(self, revocation: BulkRevocation, parts: int) -> bool:
        """Return whether its tokens have no unrevoked children; if they have, add them as further parts.

        Revoked tokens cannot create children. But a transaction that began before the revocation may still commit one,
        so this waits until such transactions have ended; if they last too long, it returns False.
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
    """Log in one line how many tokens are tried again; the door has logged each failure."""
    failures = [each for each in later if not isinstance(each, Unavailable)]
    write = _log(revocation).error if failures else _log(revocation).info
    errors = sorted({type(each).__name__ for each in later})
    write("tokens_left_for_later", tokens=len(later), errors=errors)


JOB: Final = Job(
    name="revoke", every_seconds=lambda _: _EVERY_SECONDS, open=lambda pool, door, _: BulkRevocations(pool, door)
)
