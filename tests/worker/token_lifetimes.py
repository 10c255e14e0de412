"""Tokens that expire soon, and their events."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.refusals import AlreadyExists
from counterfoil.core.secret import Peppers, mint
from counterfoil.core.subjects.account import CreateAccount
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user_commands import CreateUser, DisableUser, RemoveUser
from counterfoil.door import Door
from counterfoil_dev.postgres import Database, Postgres

ACCOUNT = UUID(int=7)
ROOT = Principal(actor=Actor("user", UUID(int=1)), account=ACCOUNT, scopes=("all",))
PEPPERS = Peppers({1: b"p" * 32})


async def hired(door: Door) -> Owner:
    """Return a user of the account; create the account if it is missing."""
    with suppress(AlreadyExists):
        await door.execute(CreateAccount(account=ACCOUNT, id=ACCOUNT, by=ROOT, name="Acme"))
    user = uuids.uuid7()
    await door.execute(
        CreateUser(
            account=ACCOUNT, id=user, by=ROOT, number=user.int % 2**62, email=f"{user}@example.org",
            role="member", password_hash="$argon2id$nobody",
        )
    )  # fmt: skip
    return Owner("user", str(user))


async def left(door: Door, owner: Owner, command: type[DisableUser | RemoveUser] = RemoveUser) -> None:
    """Remove a user, or only disable them."""
    await door.execute(command(account=ACCOUNT, id=UUID(owner.id), by=ROOT, reason="left"))


async def born(
    door: Door,
    *,
    ends_in: float,
    thresholds: Iterable[int] = (),
    at: datetime | None = None,
    owner: Owner = Owner("service", "billing"),  # noqa: B008 - it is frozen
) -> Token:
    """Create a token that expires in this many seconds, or expired this many seconds ago."""
    token_id = uuids.uuid7()
    created = await door.execute(
        Create(
            account=ACCOUNT, id=token_id, by=ROOT, number=token_id.int % 2**62, owner=owner,
            name="soon", secret=PEPPERS.minted(mint("service")), thresholds=tuple(thresholds),
            expires_at=(at or datetime.now(UTC)) + timedelta(seconds=ends_in), may_have_expired=True,
        )
    )  # fmt: skip
    return created.of(Token)


async def many_born(door: Door, count: int, *, ends_in: float) -> list[Token]:
    """Create tokens that all expire at the same moment."""
    at = datetime.now(UTC)
    return await asyncio.gather(*(born(door, ends_in=ends_in, at=at) for _ in range(count)))


async def lived_longer(url: str, token: Token) -> None:
    """Move its creation back by an hour, since a threshold counts only for a longer lifetime."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        """
        update token
           set lifetime_start = lifetime_start - interval '1h', next_due_at = clock_timestamp()
         where token_id = $1""",
        token.id,
    )
    await connection.close()


async def told(url: str) -> Counter[tuple[UUID, str]]:
    """Count the events of each token: `created`, `expired`, or `expiring 60`."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("select subject_id, type, (entry::json)#>>'{data,threshold}' as t from event")
    finally:
        await connection.close()
    return Counter((row["subject_id"], " ".join(filter(None, (row["type"], row["t"])))) for row in rows)


async def told_of(url: str, token: Token) -> list[str]:
    """Return the events of one token after its creation, sorted."""
    told_by_token = await told(url)
    return sorted(what for (token_id, what), count in told_by_token.items() for _ in range(count)
                  if token_id == token.id and what != "created")  # fmt: skip


def cut_everybody(server: Postgres, database: Database) -> None:
    """End every connection of the service to this database, as a restart of the server would."""
    server.run(
        f"""select pg_terminate_backend(pid) from pg_stat_activity
             where application_name = 'counterfoil' and datname = '{database.name}';"""
    )
