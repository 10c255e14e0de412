"""Bring a database up to the code: plain SQL files, forward only, each applied once and never edited."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg

import counterfoil
from counterfoil.postgres import grants
from counterfoil.postgres.session import backend_of, open_session

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_NO_TRANSACTION = "-- no-transaction"
# Any number will do, as long as every migrating process takes the same one.
_LOCK = 0x636F756E746572
_LOCK_SECONDS: Final = 0.3
"""How long a statement waits for the lock of a table. Meanwhile all new statements on the table wait behind it."""
_LOCK_TIMEOUT: Final = f"{_LOCK_SECONDS * 1000:.0f}ms"
_SETTINGS: Final = {"application_name": "counterfoil migrate", "lock_timeout": _LOCK_TIMEOUT}
_PAUSE_SECONDS: Final = 1.0
"""How long the other statements may run before the next try."""
_TRIES: Final = 100


class EditedMigration(Exception):  # noqa: N818 - named like the refusals
    """A migration that this database has applied reads differently now; restore the file and add a new one."""


class DatabaseAhead(Exception):  # noqa: N818 - named like the refusals
    """The database has migrations that this code does not know; run the newer code."""


class TableHeld(Exception):  # noqa: N818 - named like the refusals
    """A session keeps a lock on a table that must change; end that session, and migrate again."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of migrations/."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the file, by which an edited file is found."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def in_transaction(self) -> bool:
        """False for a file of one statement that Postgres refuses in one: create index concurrently."""
        return not self.sql.startswith(_NO_TRANSACTION)


def known_migrations() -> list[Migration]:
    """The migrations that came with this code, in order."""
    package = Path(counterfoil.__file__).parent
    # In the wheel they lie inside the package, in a checkout at its top.
    places = (package / "migrations", package.parent.parent / "migrations")
    directory = next(place for place in places if place.is_dir())
    return read_migrations(directory)


def read_migrations(directory: Path) -> list[Migration]:
    """The migrations in a directory, in order; every SQL file there has to be named NNNN_name.sql."""
    found = []
    for path in sorted(directory.glob("*.sql")):
        if not (match := _NAME.fullmatch(path.name)):
            raise ValueError(f"{path.name} is not named NNNN_name.sql, such as 0001_events.sql")
        found.append(Migration(number=int(match[1]), name=path.name, sql=path.read_text(encoding="utf-8")))
    # A gap is none of our business: a file that got lost is missed by each database that has applied it.
    if len({each.number for each in found}) != len(found):
        raise ValueError(f"Two migrations in {directory} have the same number")
    return found


async def migrate(owner_url: str, *, app_role: str | None, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing, grant the application's role its rights, and return the names applied.

    Several processes may migrate at once: one works, the others wait and find nothing to do. A table that is in use is
    tried again and again, so that other statements on it are not held up. Raises TableHeld after two minutes.
    """
    connection = await open_session(owner_url, _SETTINGS)
    try:
        # Polls, because a waiting statement holds a snapshot, and `create index concurrently` in the other process
        # waits for all older snapshots.
        while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        missing = await _missing(connection, known_migrations() if migrations is None else migrations)
        for each in missing:
            await _in_gaps(connection, owner_url, each.name, partial(_apply, connection, each))
        if app_role is not None:
            await _in_gaps(connection, owner_url, "granting rights", lambda: grants.grant(connection, role=app_role))
    finally:
        await connection.close()  # which also lets go of the lock
    return [each.name for each in missing]


async def _missing(connection: asyncpg.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    await connection.execute(
        """
        create table if not exists migration (
          number integer primary key,
          name text not null,
          sha256 text not null,
          applied_at timestamptz not null default clock_timestamp()
        )
        """
    )
    done = {row["number"]: row for row in await connection.fetch("select number, name, sha256 from migration")}
    if unknown := sorted(set(done) - {each.number for each in migrations}):
        newest = done[unknown[-1]]["name"]
        raise DatabaseAhead(
            f"The database has applied {newest}, which this version of Counterfoil does not have; run a newer version."
        )
    for each in migrations:
        if each.number in done and done[each.number]["sha256"] != each.digest:
            raise EditedMigration(
                f"{each.name} was edited after the database had applied it; restore it; write a new file."
            )
    return [each for each in migrations if each.number not in done]


async def _in_gaps(connection: asyncpg.Connection, url: str, what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do work that locks tables in a transaction of its own; try again while other sessions have locked them."""
    for _ in range(_TRIES - 1):
        try:
            await work()
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
    async with _watched(url, await backend_of(connection)) as holders:
        try:
            await work()
        except asyncpg.LockNotAvailableError:
            who = ", ".join(holders) or "a session that has ended since"
            raise TableHeld(
                f"{what} was tried {_TRIES} times and was rolled back: a table that it changes is locked by {who}."
                " Wait for that session to end, or end it, then migrate again."
            ) from None


@asynccontextmanager
async def _watched(url: str, pid: int) -> AsyncIterator[list[str]]:
    """Meanwhile collect the sessions that block a session; the list has the last ones that were found."""
    watcher, holders = await open_session(url, _SETTINGS), list[str]()
    task = asyncio.create_task(_watch(watcher, pid, holders))
    try:
        yield holders
    finally:
        task.cancel()
        await asyncio.wait([task])
        watcher.terminate()


async def _watch(watcher: asyncpg.Connection, pid: int, holders: list[str]) -> None:
    while True:
        rows = await watcher.fetch(
            """
            select h.pid, a.application_name
              from unnest(pg_blocking_pids($1)) as h(pid)
              left join pg_stat_activity a on a.pid = h.pid""",
            pid,
        )
        holders[:] = [f"process {row['pid']} ({row['application_name'] or 'unnamed'})" for row in rows] or holders
        await asyncio.sleep(_LOCK_SECONDS / 10)


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    if migration.in_transaction:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await _note(connection, migration)
    else:
        # A statement outside a transaction blocks no others while it waits. If it timed out, it would leave an invalid
        # index.
        await connection.execute("set lock_timeout = 0")
        await connection.execute(migration.sql)
        await connection.execute(f"set lock_timeout = '{_LOCK_TIMEOUT}'")
        await _note(connection, migration)


async def _note(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(
        "insert into migration (number, name, sha256) values ($1, $2, $3)",
        migration.number,
        migration.name,
        migration.digest,
    )
