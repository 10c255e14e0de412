"""One transaction for many commands: claim keys, take rows, decide, append. The order of these steps is the law.

Nothing here answers anybody: a job's answer counts only after the commit, which is the door's to see.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, assert_never
from uuid import UUID

from msgspec import structs

from counterfoil.core.owners import can_be, spelt
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import KeyReused, Overloaded, Refusal, SecretNoLongerAvailable
from counterfoil.core.secret import Minted
from counterfoil.core.subjects import KIND_OF
from counterfoil.core.subjects.peppers import Pepper
from counterfoil.core.subjects.subject import SubjectCommand, SubjectState
from counterfoil.core.subjects.token.commands import Create, Exchange, ExchangeSecret, Renew, Rotate, TokenCommand
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user_commands import CreateUser, EnrolTotp, UpdateUser, lessens_administrators
from counterfoil.core.unit_of_work import RETRY, AllOrNothing, Answer, Command, Key, Locked, Outcome, UnitOfWork, key_of
from counterfoil.idempotency import IdempotencyClaim
from counterfoil.postgres import assertions, caller_recheck, idempotency_keys, owner_quotas, side_tables, subject_row
from counterfoil.postgres import batch as sql
from counterfoil.postgres.connection import Connection, Pool

Reply = Callable[[Outcome], bytes]


@dataclass(eq=False, slots=True)
class QueuedCommand:
    """A command on its way through the door; times are seconds on the event loop's clock.

    Jobs of one lane are never in two batches of this process at once: they would only skip each other's row.
    """

    command: Command
    claim: IdempotencyClaim | None
    reply: Reply | None
    future: asyncio.Future[Outcome]
    since: float
    lane: object
    rounds: int = 0


def lane_of(command: Command) -> object:
    """Return what two commands have in common that surely want the same row."""
    match command:
        case ExchangeSecret(digests=digests):
            return digests[0]
        case TokenCommand(token_id=token_id):
            return token_id
        case SubjectCommand(account=account, id=subject_id):
            return account if lessens_administrators(command) else subject_id
        case AllOrNothing(commands=commands):
            return lane_of(commands[0])
    assert_never(command)


@dataclass(slots=True)
class Batch:
    """Jobs that share a transaction; their `answers` are good once `phase` is `committed`."""

    jobs: Sequence[QueuedCommand]
    patience: sql.Patience = "skip locked"
    phase: Literal["open", "committing", "committed"] = "open"
    xid: str = ""
    fold: UnitOfWork | None = None
    answers: dict[QueuedCommand, Answer] = field(default_factory=dict)
    won: set[QueuedCommand] = field(default_factory=set)
    replays: dict[QueuedCommand, tuple[TokenCommand | SubjectCommand, Outcome]] = field(default_factory=dict)
    """Jobs whose secret was shown before: the command about the subject that was made then, and what came of it."""
    peppers: Sequence[Pepper] = ()
    new: frozenset[Key] = frozenset()
    """Subjects that are not there yet."""

    def may_wait_for_a_key(self, job: QueuedCommand) -> bool:
        """Say whether a job brings a key that somebody else may be about to commit, so that all would wait with it."""
        return job.claim is not None or any(
            key_of(command) in self.new or (isinstance(command, UpdateUser) and isinstance(command.email, str))
            for command in _each(job.command)
            if not isinstance(command, ExchangeSecret)
        )

    async def run(self, connection: Connection, following: Sized = ()) -> None:
        """Bring the jobs through one transaction, up to and with its commit.

        If others are waiting by then, the commit opens the next transaction too: one round trip less for them.
        """
        if not connection.is_in_transaction():
            await connection.execute("begin")
        await self._claim(connection)
        fold = self.fold = await self._take(connection)
        for job in self._open():
            self.answers[job] = self._answer(job, fold)
        if fold.writes.facts:
            await sql.append(connection, fold.taken, fold.writes)
        if fold.writes.accepted:
            await assertions.keep(connection, fold.writes.accepted)
        if fold.writes.small:
            await self._save(connection, fold)
        await self._settle(connection)
        self.phase = "committing"
        await connection.execute("commit and chain" if following else "commit")
        self.phase = "committed"

    def _open(self) -> list[QueuedCommand]:
        return [job for job in self.jobs if job not in self.answers]

    def _answer(self, job: QueuedCommand, fold: UnitOfWork) -> Answer:
        if job in self.replays:
            return fold.replay(*self.replays[job])
        return self._kept_too_late(job.command, fold.taken.clock) or fold.answer(job.command)

    def _commands(self, job: QueuedCommand) -> tuple[TokenCommand | ExchangeSecret | SubjectCommand, ...]:
        return self.replays[job][:1] if job in self.replays else _each(job.command)

    def _kept_too_late(self, command: Command, at: datetime) -> Overloaded | None:
        """Return a refusal of what was digested under a pepper that is over: it would open nothing, now or soon."""
        over = {pepper.number for pepper in self.peppers if pepper.is_over(at)}
        if over.isdisjoint(_pepper_of(each) for each in _each(command)):
            return None
        return Overloaded(
            "This process had not heard that another pepper signs by now; nothing was changed, try again."
        )

    async def _claim(self, connection: Connection) -> None:
        claiming: dict[idempotency_keys.ClaimKey, tuple[QueuedCommand, IdempotencyClaim]] = {}
        for job in self.jobs:
            if job.claim is None:
                continue
            key = (job.claim.account, job.claim.key_digest)
            if key in claiming:
                self.answers[job] = RETRY  # its twin is in this very batch: let that one win or be refused first
            else:
                claiming[key] = (job, job.claim)
        if not claiming:
            return
        won = await idempotency_keys.claim(
            connection, [(*key, claim.body_digest) for key, (_, claim) in claiming.items()]
        )
        self.won = {claiming[key][0] for key in won}
        if lost := [key for key in claiming if key not in won]:
            # A new statement, whose snapshot sees what the claim lost to; and what it tells is as durable as news.
            earlier = await idempotency_keys.answered(connection, [_asked(claiming[key][1]) for key in lost])
            await sql.fence(connection)
            # What was forgotten just now is claimed in the same transaction: nobody finds the key free in between.
            if free := [(*key, claiming[key][1].body_digest) for key in lost if key not in earlier]:
                won |= await idempotency_keys.claim(connection, free)
                self.won = {claiming[key][0] for key in won}
            for key in lost:
                if key in won:
                    continue
                job, claim = claiming[key]
                answer = self.answers[job] = _earlier(claim, earlier.get(key))
                if isinstance(answer, Outcome) and claim.holds_secret:
                    del self.answers[job]  # until the caller is known to be one who may see it
                    self.replays[job] = (_about(job.command, earlier[key].token_id), answer)

    async def _take(self, connection: Connection) -> UnitOfWork:
        commands = [each for job in self._open() for each in self._commands(job)]
        ids = {(c.account, c.token_id): None for c in commands if isinstance(c, TokenCommand)}
        digests = {digest: None for c in commands if isinstance(c, ExchangeSecret) for digest in c.digests}
        digests |= {digest: None for c in commands if isinstance(c, Create) for digest in c.imported_digests}
        self.xid, taken = await sql.take(connection, ids, digests, patience=self.patience)
        if small := [command for command in commands if isinstance(command, SubjectCommand)]:
            await self._take_small(connection, small, taken)
        asked = [c for c in commands if not isinstance(c, ExchangeSecret | Exchange) and c.by.actor.kind != "system"]
        # Statements after the rows were taken and the clock was read: who ended before that moment is seen to. The
        # account's epoch is read before them: a secret made for somebody whose own was ended since is of the old one.
        if accounts := {c.account for c in asked} | {c.account for c in commands if isinstance(c, Create | Rotate)}:
            taken.accounts, self.peppers, ending = await caller_recheck.accounts(connection, accounts)
            if makers := set(_makers_in(commands, ending)):
                taken.descending = await caller_recheck.descending(connection, makers)
        asking = [*(command.by for command in asked), *_acting(commands), *_makers(commands, taken)]
        owning = [(c.account, c.owner.user) for c in commands if isinstance(c, Create) and c.owner.user]
        if asking or owning:
            taken.callers = await caller_recheck.caller_states(connection, asking, owning)
        if asserted := list(_asserted(commands, taken)):
            taken.accepted = await assertions.accepted(connection, asserted)
        if owners := set(_growing(commands, taken)):
            taken.rooms = await owner_quotas.hold_rooms(connection, owners)
        self.new = frozenset(key for key, row in taken.rows.items() if row.state is None)
        return UnitOfWork(taken, salt=os.urandom)

    async def _take_small(self, connection: Connection, commands: Sequence[SubjectCommand], taken: Locked) -> None:
        guarded = {command.account for command in commands if lessens_administrators(command)}
        keys = {(command.account, command.id): None for command in commands} | {(a, a): None for a in guarded}
        await subject_row.take(connection, list(keys), taken, patience=self.patience)
        if guarded:
            taken.administrators = await subject_row.administrators(connection, guarded)
        wanted = [c for c in commands if isinstance(c, CreateUser | UpdateUser)]
        if emails := [(c.account, c.email) for c in wanted if isinstance(c.email, str)]:
            taken.emails = await subject_row.holders(connection, emails)

    async def _save(self, connection: Connection, fold: UnitOfWork) -> None:
        changed = {key: KIND_OF[type(command)] for command, key in fold.writes.small}
        rows = ((kind, fold.taken.rows[key]) for key, kind in changed.items())
        await subject_row.save(
            connection,
            [
                (kind, row.state, row.leaf)
                for kind, row in rows
                if isinstance(row.state, SubjectState) and row.leaf is not None
            ],
        )
        for command, _ in fold.writes.small:
            await side_tables.keep(connection, command)

    async def _settle(self, connection: Connection) -> None:
        kept, released = [], []
        for job in self.won:
            answer, claim = self.answers[job], job.claim
            if claim is None:
                continue
            if not isinstance(answer, Outcome) or job.reply is None:
                released.append((claim.account, claim.key_digest))  # only a success is remembered
                continue
            reply = job.reply(answer)
            self.answers[job] = replace(answer, reply=reply)
            kept.append((claim.account, claim.key_digest, answer.subject, claim.sealed(reply), claim.holds_secret))
        if self.won:
            await idempotency_keys.settle(connection, kept, released)


def _each(command: Command) -> tuple[TokenCommand | ExchangeSecret | SubjectCommand, ...]:
    return command.commands if isinstance(command, AllOrNothing) else (command,)


def _about(command: Command, subject: UUID | None) -> TokenCommand | SubjectCommand:
    """Return a command as if it were about what was made when it was carried out first."""
    match command:
        case TokenCommand():
            return structs.replace(command, token_id=subject)
        case SubjectCommand():
            return structs.replace(command, id=subject)
        case AllOrNothing(commands=commands):
            return _about(commands[0], subject)
    raise TypeError(f"{type(command).__name__} shows no secret under a key")


def _pepper_of(command: Command) -> int | None:
    """Return under which pepper something new is to be kept."""
    match command:
        case Create(secret=Minted() as minted) | Rotate(secret=minted):
            return minted.pepper_id
        case EnrolTotp(pepper_id=pepper_id):
            return pepper_id
    return None


def _makers_in(commands: Iterable[Command], accounts: frozenset[UUID]) -> Iterator[tuple[UUID, UUID, Owner]]:
    """Yield the tokens that are to make a token in one of these accounts, with the owner of that."""
    for command in commands:
        if not isinstance(command, Create) or command.account not in accounts or not can_be(command.owner):
            continue
        if command.by.actor.kind == "token":
            yield command.account, command.by.actor.id, spelt(command.owner)


def _acting(commands: Iterable[Command]) -> Iterator[Principal]:
    """Yield those who exchange on behalf of somebody else."""
    for command in commands:
        if isinstance(command, ExchangeSecret) and command.actor is not None:
            yield command.actor
        elif isinstance(command, Exchange) and command.actors:
            yield command.by


def _makers(commands: Iterable[Command], taken: Locked) -> Iterator[Principal]:
    """Yield those who stated the trusts of tokens that are exchanged: no bearer does more than they still may."""
    for _, token in _trusting(commands, taken):
        if token.trust_by is not None:
            yield Principal(actor=token.trust_by, account=token.account, scopes=())


def _asserted(commands: Iterable[Command], taken: Locked) -> Iterator[tuple[UUID, UUID, bytes]]:
    """Yield the JWTs that are accepted once."""
    for command, token in _trusting(commands, taken):
        digest = command.assertion.digest if command.assertion is not None else None
        if digest is not None and token.trust is not None and token.trust.once:
            yield token.account, token.id, digest


def _trusting(commands: Iterable[Command], taken: Locked) -> Iterator[tuple[Exchange, Token]]:
    for command in commands:
        row = taken.rows.get((command.account, command.token_id)) if isinstance(command, Exchange) else None
        if isinstance(command, Exchange) and row and isinstance(row.state, Token) and row.state.trust is not None:
            yield command, row.state


def _growing(commands: Iterable[Command], taken: Locked) -> Iterator[owner_quotas.OwnerKey]:
    """Yield the owners who may come to have a live token more."""
    for command in commands:
        if isinstance(command, Create):
            yield command.account, spelt(command.owner)
        elif isinstance(command, Renew) or (isinstance(command, Rotate) and (command.lifetime or command.expires_at)):
            row = taken.rows.get(key_of(command))
            if row is not None and isinstance(row.state, Token):
                yield command.account, row.state.owner


def _asked(claim: IdempotencyClaim) -> tuple[UUID, bytes, timedelta, bytes | None]:
    return claim.account, claim.key_digest, claim.lasts(asyncio.get_running_loop().time()), claim.replaced


def _earlier(claim: IdempotencyClaim, answered: idempotency_keys.Answered | None) -> Answer:
    if answered is None:
        return RETRY  # forgotten just now, and claimed by somebody else
    if not claim.fits(answered.body_digest):
        return KeyReused()
    if answered.reply is None:
        return SecretNoLongerAvailable(subject=str(answered.token_id))
    return Outcome(None, (), answered.at, reply=claim.opened(answered.reply), replayed=True)


async def recall(pool: Pool, claim: IdempotencyClaim) -> Outcome | None:
    """Return the answer kept under a key, for who can no longer ask in the usual way; None if there is none.

    Raises KeyReused or SecretNoLongerAvailable.
    """
    key = (claim.account, claim.key_digest)
    answered = (await idempotency_keys.answered(pool, [_asked(claim)])).get(key)
    await sql.fence(pool)
    answer = _earlier(claim, answered)
    if isinstance(answer, Refusal):
        raise answer
    return answer if isinstance(answer, Outcome) else None
