"""The twin of the ledger: like production, but its storage is a dictionary.

Commands are decided, folded and sealed by the code that stands behind the real door: only Postgres is missing.
"""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

from counterfoil.core.locked import Locked, Row
from counterfoil.core.refusals import Refusal
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.token.commands import Create, Rotate
from counterfoil.core.subjects.token.kind import TokenReads
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import RETRY, Outcome, Request, UnitOfWork
from counterfoil.door import Door
from counterfoil.door.batch import Reply
from counterfoil.idempotency import IdempotencyClaim
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.lookup import Lookup, Seen
from counterfoil.postgres.numbers import Numbers
from counterfoil.postgres.token_row import COLUMNS, token_of
from counterfoil.settings import Settings
from counterfoil.uses.last_used import Uses
from counterfoil.uses.verify import Verifying
from counterfoil_api.handling.issuing import Issuing
from counterfoil_api.handling.token_exchange import Exchanging
from counterfoil_api.handling.writing import Writing
from counterfoil_api.limits.callers import Callers
from counterfoil_api.operations.services import Services
from counterfoil_api.services import open_services


class MemoryDoor(Door):
    """A door that answers at once and stores everything in memory."""

    def __init__(self, locked: Locked) -> None:
        super().__init__("")
        self._locked = locked

    async def execute(
        self, command: Request, claim: IdempotencyClaim | None = None, reply: Reply | None = None
    ) -> Outcome:
        """Execute a command; benches send no idempotency keys."""
        assert claim is None
        assert reply is None
        locked = self._locked
        locked.clock = datetime.now(UTC)
        if isinstance(command, Command):
            locked.rows.setdefault(command.key, Row(None, None))
        work = UnitOfWork(locked, salt=os.urandom)
        answer = work.answer(command)
        if isinstance(answer, Refusal):
            raise answer
        assert answer != RETRY
        if isinstance(command, Create | Rotate) and command.secret is not None:
            locked.of(TokenReads).opened[command.secret.digest] = (*command.key, answer.of(Token).generation)
        return answer


class MemoryLookup(Lookup):
    """Looks up tokens in the memory of the door."""

    def __init__(self, locked: Locked) -> None:
        self._locked = locked

    async def by_digests(self, digests: tuple[bytes, ...]) -> Seen | None:
        """Return the token with one of these digests."""
        for digest in digests:
            if found := self._locked.of(TokenReads).opened.get(digest):
                account, token_id, generation = found
                return _seen(self._locked.rows[account, token_id].state, generation)
        return None

    async def by_id(self, account: UUID, token_id: UUID) -> Seen | None:
        """Return a token of this account."""
        row = self._locked.rows.get((account, token_id))
        return None if row is None else _seen(row.state, None)


class MemoryNumbers(Numbers):
    """Counts."""

    def __init__(self, first: int) -> None:
        self._numbers = count(first)

    async def next(self, _: UUID) -> int:
        """Return the next number."""
        return next(self._numbers)


@asynccontextmanager
async def services_in_memory(settings: Settings) -> AsyncIterator[Services]:
    """Open the real services, read the tokens once, and replace the door and the look-ups by those in memory."""
    # A large dictionary makes full garbage collections long, unlike rows in Postgres: the twin switches them off.
    gc.set_threshold(*gc.get_threshold()[:2], 1_000_000)
    async with open_services(settings) as real:
        pool = real.get(Writing).reading.pool
        locked = await _read(pool)
        # These uses are counted and never written.
        verifying = replace(real.get(Verifying), lookup=MemoryLookup(locked), uses=Uses(pool))
        numbers = MemoryNumbers(len(locked.rows) + 1)
        writing = replace(real.get(Writing), door=MemoryDoor(locked), token_numbers=numbers)
        yield real.replace(
            verifying,
            writing,
            replace(real.get(Issuing), writing=writing),
            replace(real.get(Exchanging), verifying=verifying, writing=writing),
            replace(real.get(Callers), verifying=verifying),
        )


async def _read(pool: Pool) -> Locked:
    locked = Locked(clock=datetime.now(UTC))
    for row in await pool.fetch(f"select {', '.join(COLUMNS)} from token"):
        locked.rows[row["account_id"], row["token_id"]] = Row(token_of(row), row["leaf"])
    for row in await pool.fetch("select digest, account_id, token_id, generation from secret"):
        locked.of(TokenReads).opened[row["digest"]] = (row["account_id"], row["token_id"], row["generation"])
    return locked


def _seen(state: object, presented: int | None) -> Seen:
    assert isinstance(state, Token)
    return Seen(
        account=state.account, id=state.id, number=state.number, owner=state.owner, scopes=state.scopes,
        status=state.status, expires_at=state.expires_at, generation=state.generation,
        epoch=state.epoch,
        previous_until=state.previous_until, previous_epoch=state.previous_epoch,
        created_at=state.created_at, lifetime_start=state.lifetime_start, thresholds=state.thresholds,
        at=datetime.now(UTC), presented=presented,
    )  # fmt: skip
