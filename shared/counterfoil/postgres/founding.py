"""What has to be known before an account is founded."""

from __future__ import annotations

from uuid import UUID

from .connection import Connection


async def numbers(connection: Connection) -> tuple[int, int]:
    """Return a token's and a user's number that nobody else was given."""
    row = await connection.fetchrow("select nextval('token_number') as token, nextval('user_number') as person")
    if row is None:
        raise TypeError("a select without a table has one row")
    return row["token"], row["person"]


async def holder_of(connection: Connection, email: str) -> UUID | None:
    """Return the id of the user with this e-mail address, whatever its case."""
    found: UUID | None = await connection.fetchval(
        "select subject_id from subject where kind = 'user' and lower(name) = lower($1)", email
    )
    return found
