"""What the application's role may do to which table, and nothing besides."""

import asyncpg

# No update, no delete and no truncate on `event` and `secret`: history is only ever added to,
# and a right that nobody holds cannot be used by mistake.
PRIVILEGES = {
    "event": "select, insert",
    "secret": "select, insert",
    "token": "select, insert, update",
    "token_use": "select, insert, update",
    "subject": "select, insert, update",
    "password": "select, insert, update, delete",
    "private_key": "select, insert",
    "idempotency": "select, insert, update, delete",
    "migration": "select",
}


class UnknownRole(Exception):  # noqa: N818 - a complaint
    """The application's role does not exist; create it, then migrate again."""


async def grant(connection: asyncpg.Connection, *, role: str) -> None:
    """Give the application's role exactly `PRIVILEGES`, in one transaction."""
    if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
        raise UnknownRole(f"There is no role {role!r}; create it with `create role … login`, then migrate again.")
    name = _quoted(role)
    async with connection.transaction():
        await connection.execute(f"revoke all on all tables in schema public from {name}")
        await connection.execute(f"grant usage on schema public to {name}")
        await connection.execute(f"grant usage on all sequences in schema public to {name}")
        for table, privileges in PRIVILEGES.items():
            await connection.execute(f"grant {privileges} on {_quoted(table)} to {name}")


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
