"""What has to be known before an account is founded."""

from __future__ import annotations

from uuid import UUID

from .connection import Connection


async def holder_of(connection: Connection, email: str) -> UUID | None:
    """Return the id of the user with this e-mail address, whatever its case."""
    found: UUID | None = await connection.fetchval(
        "select subject_id from subject where kind = 'user' and lower(name) = lower($1)", email
    )
    return found
