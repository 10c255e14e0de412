import asyncio
import random
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from counterfoil.core.events import Private
from counterfoil.core.history import Past, past
from counterfoil.core.refusals import Refusal
from counterfoil.core.secret import mint
from counterfoil.core.subjects.token.commands import (
    Erase,
    Renew,
    Resume,
    Revoke,
    Rotate,
    Suspend,
    Sweep,
    TokenCommand,
    Update,
)
from counterfoil.core.subjects.token.state import Token
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.timeline import changes_until, events_of, moment_of
from counterfoil_dev.postgres import Database
from postgres.reference import Entry, moment, read, replayed
from postgres.tenant import PEPPERS, Tenant, tenant_of

LATER = datetime(9999, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


async def then(pool: Pool, token: Token, at: datetime) -> Past | None:
    return past(await changes_until(pool, token.account, token.id, at=at), at)


async def after(pool: Pool, token: Token, version: int) -> Past | None:
    at = await moment_of(pool, token.account, token.id, version)
    return None if at is None else past(await changes_until(pool, token.account, token.id, version=version), at)


@pytest.mark.parametrize(("lives", "asked"), [(40, 800), pytest.param(150, 10_000, marks=pytest.mark.soak)])
async def test_any_past_equals_an_independent_replay(database: Database, lives: int, asked: int) -> None:
    async with tenant_of(database) as tenant:
        tokens = await asyncio.gather(*(lived(tenant, random.Random(seed)) for seed in range(lives)))
        logs = await raw_logs(database, tenant.account)
        questions = [random.choice(tokens) for _ in range(asked)]
        answers = await asyncio.gather(*(compared(tenant.pool, token, logs[token.id]) for token in questions))
    assert {status for status in answers if status} == {"active", "suspended", "expired", "revoked"}
    assert answers.count(None) > asked / 500


async def compared(pool: Pool, token: Token, log: Sequence[Entry]) -> str | None:
    """Ask for a random moment or version of this token, compare the answer, and return its status."""
    if random.random() < 0.3:
        entries = log[: random.randrange(1, len(log) + 1)]
        at = entries[-1].at
        answer = await after(pool, token, len(entries))
    else:
        at = random_moment(log)
        entries = log[: bisect_right(log, at, key=lambda entry: entry.at)]
        answer = await then(pool, token, at)
    expected = replayed(list(entries), at)
    assert (answer and told(answer)) == (expected and {field: expected[field] for field in FIELDS})
    return None if answer is None else answer.status


def random_moment(log: Sequence[Entry]) -> datetime:
    """A moment just before, at or after an event or an expiry, or anywhere in a lifetime."""
    ends = [end for entry in log if (end := moment(entry.data.get("expires_at"))) is not None]
    near = random.choice([*(entry.at for entry in log), *ends])
    context = near + random.choice([-1, 0, 1]) * MICROSECOND
    return random.choice([context, log[0].at + random.uniform(-0.05, 1.5) * (log[-1].at - log[0].at)])


FIELDS = ("name", "description", "metadata", "scopes", "status", "status", "lifetime", "expires_at", "created_at",
          "updated_at", "last_exchanged_at", "generation", "previous_until", "hint", "reason", "revision", "number",
          "decided_by")  # fmt: skip


def told(answer: Past) -> dict[str, Any]:
    said = {field: getattr(answer.token, field, None) for field in FIELDS}
    said |= {"scopes": list(answer.token.scopes), "status": answer.status, "decided_by": answer.decided_by.version}
    return said | {field: written(said[field]) for field in ("expires_at", "previous_until")}


def written(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


async def raw_logs(database: Database, account: UUID) -> dict[UUID, list[Entry]]:
    owner = await asyncpg.connect(database.owner_url)
    logs: dict[UUID, list[Entry]] = {}
    for row in await owner.fetch(
        "select subject_id, entry, private from event where account_id = $1 order by subject_id, version", account
    ):
        logs.setdefault(row["subject_id"], []).append(read(row["entry"], row["private"]))
    await owner.close()
    return logs


async def lived(tenant: Tenant, chance: random.Random) -> Token:
    """A token after thirty random commands, some of them refused."""
    token = await tenant.issue(
        name=f"token {chance.random()}", scopes=("mail.send", "mail.read"), metadata={"team": "a"},
        lifetime=chance.choice(["5ms", "50ms", "1h", "90d", None]), thresholds=(86_400, 60),
    )  # fmt: skip
    for _ in range(30):
        token = await asked_by_chance(tenant, token, chance)
    if chance.random() < 0.3:
        await tenant.ask(Revoke, token.id, reason="the end")
    if chance.random() < 0.2:
        await tenant.ask(Erase, token.id)
    return token


async def asked_by_chance(tenant: Tenant, token: Token, chance: random.Random) -> Token:
    lifetime = {"lifetime": chance.choice(["5ms", "50ms", "1h", "forever"])}
    asked: list[tuple[type[TokenCommand], dict[str, Any]]] = [
        (Update, {"name": f"renamed {chance.random()}"}),
        (Update, {"description": str(chance.random()), "scopes": ("mail.read",), "metadata": {}}),
        (Update, {"previous_until": datetime.now(UTC) + timedelta(seconds=chance.choice([-1, 5, 90]))}),
        (Renew, lifetime),
        (
            Rotate,
            {
                "secret": PEPPERS.minted(mint("service")),
                "previous_until": datetime.now(UTC) + timedelta(seconds=chance.choice([-1, 30])),
            },
        ),
        (
            Rotate,
            {
                "secret": PEPPERS.minted(mint("service")),
                "grace_seconds": chance.choice([0, 60]),
                "forgets_use": chance.random() < 0.5,
            },
        ),
        (Rotate, {"secret": PEPPERS.minted(mint("service")), "grace_seconds": 0, **lifetime}),
        (Suspend, {"reason": chance.choice(["", "under review"])}),
        (Resume, {}),
        (Sweep, {}),
    ]
    command, fields = chance.choice(asked)
    try:
        outcome = tenant.exchange(token) if chance.random() < 0.4 else tenant.ask(command, token.id, **fields)
        return (await outcome).of(Token)
    except Refusal:
        return token


async def test_a_token_with_thousands_of_exchanges_is_answered_without_reading_them(database: Database) -> None:
    async with tenant_of(database) as tenant:
        token = await tenant.issue()
        await tenant.ask(Suspend, token.id, reason="")
        await tenant.ask(Resume, token.id)
        exchanges = await asyncio.gather(*(tenant.exchange(token) for _ in range(5_000)))
        moments = sorted(exchange.at for exchange in exchanges)
        await tenant.ask(Revoke, token.id, reason="the end")
        for at in (moments[0], moments[2_500], moments[-1]):
            answer, rows = await then_with_rows_read(tenant.pool, token, at)
            assert answer is not None
            assert (answer.status, answer.token.last_exchanged_at) == ("active", at)
            assert rows < 40
        answer = await after(tenant.pool, token, 2_503)
        assert answer is not None
        assert answer.token.last_exchanged_at == moments[2_499]


async def then_with_rows_read(pool: Pool, token: Token, at: datetime) -> tuple[Past | None, int]:
    """The past state, and how many rows of the log were read for it."""
    async with pool.acquire() as connection:
        counting = Counting(cast("Connection", connection))
        return await then(cast("Pool", counting), token, at), counting.rows


class Counting:
    """A pool with one connection that adds up how many rows of the log its transactions read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.fetch, self.fetchval = connection.fetch, connection.fetchval
        self.rows = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Counting"]:
        yield self

    async def execute(self, statement: str) -> None:
        if statement == "commit":
            self.rows += await self.fetchval(_ROWS_READ)
        await self._connection.execute(statement)
        if statement != "commit":
            self.rows -= await self.fetchval(_ROWS_READ)


_ROWS_READ = """
    select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint
      from pg_stat_xact_user_tables
     where relname = 'event'"""


async def test_events_are_listed_page_by_page_from_either_end(database: Database) -> None:
    async with tenant_of(database) as tenant:
        token = await tenant.issue()
        for _ in range(9):
            await tenant.exchange(token)
        await tenant.ask(Revoke, token.id, reason="leaked")
        page = events_of(tenant.pool, tenant.account, token.id, after=2, limit=3)
        assert [(fact.version, fact.type) for fact in await page] == [(n, "exchanged") for n in (3, 4, 5)]
        newest = await events_of(tenant.pool, tenant.account, token.id, after=12, limit=2, descending=True)
        assert [(fact.version, fact.type) for fact in newest] == [(11, "revoked"), (10, "exchanged")]
        assert newest[0].event.private == Private(reason="leaked")


async def test_another_account_learns_nothing_of_a_token(database: Database) -> None:
    async with tenant_of(database) as tenant:
        token, stranger = await tenant.issue(), uuid7()
        assert await moment_of(tenant.pool, stranger, token.id, 1) is None
        assert await changes_until(tenant.pool, stranger, token.id, at=LATER) == []
        assert await events_of(tenant.pool, stranger, token.id, after=0, limit=10) == []


async def test_a_version_that_does_not_exist_has_no_moment(database: Database) -> None:
    async with tenant_of(database) as tenant:
        token = await tenant.issue()
        assert await moment_of(tenant.pool, tenant.account, token.id, 2) is None
        for at, versions in ((token.at - MICROSECOND, []), (token.at, [1]), (LATER, [1])):
            events = await changes_until(tenant.pool, tenant.account, token.id, at=at)
            assert [fact.version for fact in events] == versions
