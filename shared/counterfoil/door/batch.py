"""One transaction for many commands: claim keys, lock rows, decide, append, in this order.

A batch collects the answers. The door gives them to the callers after the commit.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from msgspec import structs

from counterfoil.core.refusals import KeyReused, Refusal, SecretNoLongerAvailable
from counterfoil.core.subjects.subject import Command, Key, Unresolved
from counterfoil.core.unit_of_work import RETRY, AllOrNothing, Answer, Outcome, Request, UnitOfWork
from counterfoil.idempotency import IdempotencyClaim
from counterfoil.postgres import batch as sql
from counterfoil.postgres import idempotency_keys, stores
from counterfoil.postgres.connection import Connection, Pool

Reply = Callable[[Outcome], bytes]


EVERYTHING: Final = "everything"


def shared_by(_command: Request) -> object:
    """Return a value that all commands of one batch share.

    One Postgres server locks rows of all accounts in one statement, so all commands may share a batch. A cluster that
    distributes accounts over several servers cannot: there this would return the command's account.
    """
    return EVERYTHING


@dataclass(eq=False, slots=True)
class QueuedCommand:
    """A command that waits for its answer. `since` is in seconds on the event loop's clock.

    Two batches of this process never contain commands of the same lane, because they need the same row: the second
    batch would find it locked.
    """

    command: Request
    claim: IdempotencyClaim | None
    reply: Reply | None
    future: asyncio.Future[Outcome]
    since: float
    lane: object
    rounds: int = 0

    @property
    def commands(self) -> tuple[Command | Unresolved, ...]:
        return self.command.commands if isinstance(self.command, AllOrNothing) else (self.command,)


@dataclass(slots=True)
class Batch:
    """Commands that share a transaction; their `answers` are valid once `phase` is `committed`."""

    queued: Sequence[QueuedCommand]
    patience: sql.Patience = "skip locked"
    phase: Literal["open", "committing", "committed"] = "open"
    xid: str = ""
    work: UnitOfWork | None = None
    answers: dict[QueuedCommand, Answer] = field(default_factory=dict)
    won: set[QueuedCommand] = field(default_factory=set)
    replays: dict[QueuedCommand, tuple[Command, Outcome]] = field(default_factory=dict)
    """Repeated commands whose stored reply contains a secret: the command with the stored subject, and its outcome."""
    new: frozenset[Key] = frozenset()
    """Subjects that do not exist yet."""

    def may_wait_for_a_key(self, queued: QueuedCommand) -> bool:
        """Return whether a command inserts a unique key, for which the batch may wait until another process commits."""
        return queued.claim is not None or any(
            command.key in self.new or command.has_unique_value
            for command in queued.commands
            if isinstance(command, Command)
        )

    async def run(self, connection: Connection, waiting: Sized = ()) -> None:
        """Execute the commands in one transaction, and commit it.

        If further commands wait by then, the commit also begins the next transaction (`commit and chain`), which saves
        a round trip.
        """
        await _begin(connection)
        await self._claim_keys(connection)
        work = await self._decide(connection)
        if work.changes.facts:
            await stores.save(connection, work.locked, work.changes)
        await self._store_replies(connection)
        self.phase = "committing"
        await connection.execute("commit and chain" if waiting else "commit")
        self.phase = "committed"

    async def rehearse(self, connection: Connection) -> list[Answer]:
        """Decide the commands as `run` does, write nothing, and return their answers in order."""
        await _begin(connection)
        await self._decide(connection)
        await connection.execute("rollback")
        return [self.answers[queued] for queued in self.queued]

    async def _decide(self, connection: Connection) -> UnitOfWork:
        commands = [command for queued in self._unanswered() for command in self._commands(queued)]
        self.xid, locked = await stores.take(connection, commands, patience=self.patience)
        await stores.read(connection, commands, locked)
        self.new = frozenset(key for key, row in locked.rows.items() if row.state is None)
        work = self.work = UnitOfWork(locked, salt=os.urandom)
        for queued in self._unanswered():
            replay = self.replays.get(queued)
            self.answers[queued] = work.answer(queued.command) if replay is None else work.replay(*replay)
        return work

    def _unanswered(self) -> list[QueuedCommand]:
        return [queued for queued in self.queued if queued not in self.answers]

    def _commands(self, queued: QueuedCommand) -> tuple[Command | Unresolved, ...]:
        return self.replays[queued][:1] if queued in self.replays else queued.commands

    async def _claim_keys(self, connection: Connection) -> None:
        claiming: dict[idempotency_keys.ClaimKey, tuple[QueuedCommand, IdempotencyClaim]] = {}
        for queued in self.queued:
            if queued.claim is None:
                continue
            key = (queued.claim.account, queued.claim.key_digest)
            if key in claiming:
                self.answers[queued] = RETRY  # another command of this batch has the same key and is answered first
            else:
                claiming[key] = (queued, queued.claim)
        if not claiming:
            return
        won = await idempotency_keys.claim(
            connection, [(*key, claim.body_digest) for key, (_, claim) in claiming.items()]
        )
        if lost := {key: claiming[key] for key in claiming if key not in won}:
            won |= await self._answer_earlier(connection, lost)
        self.won = {claiming[key][0] for key in won}

    async def _answer_earlier(
        self, connection: Connection, lost: dict[idempotency_keys.ClaimKey, tuple[QueuedCommand, IdempotencyClaim]]
    ) -> set[idempotency_keys.ClaimKey]:
        """Answer these commands with the replies that are stored under their keys; return keys that became free."""
        # A new statement, so that its snapshot sees the rows of the transactions that claimed the keys. The fence
        # makes sure that these rows are on disk before we answer with them.
        earlier = await idempotency_keys.answered(connection, [_lookup_of(claim) for _, claim in lost.values()])
        await sql.fence(connection)
        # A key that has just expired is claimed here, in the same transaction, before another command can claim it.
        free = [(*key, claim.body_digest) for key, (_, claim) in lost.items() if key not in earlier]
        won = await idempotency_keys.claim(connection, free) if free else set()
        for key, (queued, claim) in lost.items():
            if key in won:
                continue
            answer = _earlier(claim, earlier.get(key))
            if isinstance(answer, Outcome) and claim.holds_secret:  # the caller is checked again first
                first = queued.commands[0]
                if isinstance(first, Unresolved):
                    raise TypeError(f"{type(first).__name__} shows no secret under a key")
                self.replays[queued] = (structs.replace(first, id=earlier[key].token_id), answer)
            else:
                self.answers[queued] = answer
        return won

    async def _store_replies(self, connection: Connection) -> None:
        kept, released = [], []
        for queued in self.won:
            answer, claim = self.answers[queued], queued.claim
            if claim is None:
                continue
            if not isinstance(answer, Outcome) or queued.reply is None:
                released.append((claim.account, claim.key_digest))  # only successes are stored
                continue
            reply = queued.reply(answer)
            self.answers[queued] = replace(answer, reply=reply)
            kept.append((claim.account, claim.key_digest, answer.subject, claim.sealed(reply), claim.holds_secret))
        if self.won:
            await idempotency_keys.store_replies(connection, kept, released)


async def _begin(connection: Connection) -> None:
    if not connection.is_in_transaction():
        await connection.execute("begin")


def _lookup_of(claim: IdempotencyClaim) -> tuple[UUID, bytes, timedelta, bytes | None]:
    return claim.account, claim.key_digest, claim.lasts(asyncio.get_running_loop().time()), claim.replaced


def _earlier(claim: IdempotencyClaim, answered: idempotency_keys.Answered | None) -> Answer:
    if answered is None:
        return RETRY  # the key expired, and another process has claimed it
    if not claim.fits(answered.body_digest):
        return KeyReused()
    if answered.reply is None:
        return SecretNoLongerAvailable(subject=str(answered.token_id))
    return Outcome(None, (), answered.at, reply=claim.opened(answered.reply), replayed=True)


async def recall(pool: Pool, claim: IdempotencyClaim) -> Outcome | None:
    """Return the reply that is stored under a key, for a caller that can no longer authenticate; None without one.

    Raises KeyReused or SecretNoLongerAvailable.
    """
    key = (claim.account, claim.key_digest)
    answered = (await idempotency_keys.answered(pool, [_lookup_of(claim)])).get(key)
    await sql.fence(pool)
    answer = _earlier(claim, answered)
    if isinstance(answer, Refusal):
        raise answer
    return answer if isinstance(answer, Outcome) else None
