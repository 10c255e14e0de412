"""The rights of each database role: which tables, and whose rows."""

from __future__ import annotations

from typing import Final, NamedTuple

import asyncpg

# No update, no delete and no truncate on `event` and `secret`: history is only ever added to,
# and a right that nobody holds cannot be used by mistake.
PRIVILEGES = {
    "event": "select, insert",
    "secret": "select, insert",
    "accepted_assertion": "select, insert, delete",
    "token": "select, insert, update",
    "token_use": "select, insert, update, delete",
    "rotation_use": "select, insert, update, delete",
    "counted_use": "select, insert, update",
    "owner_quota": "select, insert, update, delete",
    "subject": "select, insert, update",
    "password": "select, insert, update, delete",
    "private_key": "select, insert, update, delete",
    "totp_seed": "select, insert, update, delete",
    "recovery_code": "select, insert, delete",
    "idempotency_key": "select, insert, update, delete",
    "attempt": "select, insert, update, delete",
    "number_counter": "select, insert, update",
    "bulk_revocation_part": "select, insert, update, delete",
    "subscription": "select, insert, update, delete",
    "delivery": "select, insert, update, delete",
    "sealed": "select, insert",
    "head": "select, update",
    "follower": "select, insert, update, delete",
    "migration": "select",
}

READER: Final = "counterfoil_reader"
"""The role that the application takes for one transaction to read the rows of one account."""
SETTING: Final = "counterfoil.account"
READABLE: Final = (
    "attempt", "counted_use", "delivery", "event", "owner_quota", "rotation_use", "sealed", "subject", "token",
    "token_use",
)  # fmt: skip
"""The tables that the reader may select from. They have no digests, hashes, private keys or stored replies."""

# In the spelling of Postgres, so that `_guard` finds equal policies and does not create them again: that would lock the
# table. Without the setting, the account is null, which equals no account.
_OWN_ROWS: Final = f"(account_id = (NULLIF(current_setting('{SETTING}'::text, true), ''::text))::uuid)"


class UnknownRole(Exception):  # noqa: N818 - named like the refusals
    """The application's role or the reader does not exist; create it, then migrate again."""


class _Policy(NamedTuple):
    """A row-level policy, as the view pg_policies shows it."""

    table: str
    name: str
    role: str
    command: str
    using: str
    check: str | None

    @property
    def sql(self) -> str:
        check = f" with check ({self.check})" if self.check else ""
        place = f"{_quoted(self.name)} on {_quoted(self.table)}"
        return f"create policy {place} for {self.command} to {_quoted(self.role)} using ({self.using}){check}"


async def grant(connection: asyncpg.Connection[asyncpg.Record], *, role: str) -> None:
    """Give the application's role exactly `PRIVILEGES`, and the reader its own rows of `READABLE`."""
    if not await _exists(connection, role):
        raise UnknownRole(
            f"The role {role!r} does not exist; create it with `create role … login`, then migrate again."
        )
    await _lend_reader(connection, role)
    readable = dict.fromkeys(READABLE, "select")
    async with connection.transaction():
        for name, rights in ((_quoted(role), PRIVILEGES), (READER, readable)):
            await connection.execute(f"revoke all on all tables in schema public from {name}")
            await connection.execute(f"grant usage on schema public to {name}")
            for table, privileges in rights.items():
                await connection.execute(f"grant {privileges} on {_quoted(table)} to {name}")
        await _guard(connection, role)


async def _lend_reader(connection: asyncpg.Connection[asyncpg.Record], role: str) -> None:
    """Create the reader, and let the application's role become it; raise UnknownRole if our role may not do that."""
    # Since PostgreSQL 16, a member need not inherit the rights of the reader. Before, it inherits them, and has more.
    grants = "" if connection.get_server_version().major < 16 else " with inherit false, set true"
    making, lending = f"create role {READER} nologin", f"grant {READER} to {_quoted(role)}{grants}"
    try:
        if not await _exists(connection, READER):
            await connection.execute(making)
        if not await _may_become(connection, role):
            await connection.execute(lending)
    except asyncpg.InsufficientPrivilegeError:
        raise UnknownRole(
            f"The role {role!r} cannot become {READER}; have a superuser run `{making}` (unless it"
            f" exists) and `{lending}`, then migrate again."
        ) from None


async def _exists(connection: asyncpg.Connection[asyncpg.Record], role: str) -> bool:
    found: bool = await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role)
    return found


async def _may_become(connection: asyncpg.Connection[asyncpg.Record], role: str) -> bool:
    right = "member" if connection.get_server_version().major < 16 else "set"
    found: bool = await connection.fetchval("select pg_has_role($1::name, $2::name, $3::text)", role, READER, right)
    return found


async def _guard(connection: asyncpg.Connection[asyncpg.Record], role: str) -> None:
    """Let the reader see the rows of one account, the application's role all rows, and other roles none.

    The owner of the tables sees all rows: otherwise a migration would change no rows, without an error.
    """
    tables = await _tables_with_accounts(connection)
    wanted = {_Policy(table, "application", role, "ALL", "true", "true") for table in tables}
    wanted |= {_Policy(table, "tenant", READER, "SELECT", _OWN_ROWS, None) for table in READABLE}
    found = await _policies(connection)
    for policy in sorted(found - wanted):
        await connection.execute(f"drop policy {_quoted(policy.name)} on {_quoted(policy.table)}")
    for policy in sorted(wanted - found):
        await connection.execute(policy.sql)
    for table, guarded in tables.items():
        if not guarded:
            await connection.execute(f"alter table {_quoted(table)} enable row level security")


async def _tables_with_accounts(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, bool]:
    """Return each table that has an account_id, and whether row-level security is on."""
    rows = await connection.fetch(
        """
        select c.relname, c.relrowsecurity
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attname = 'account_id' and not a.attisdropped
         where c.relnamespace = 'public'::regnamespace
           and c.relkind in ('r', 'p')
         order by c.relname"""
    )
    return {row["relname"]: row["relrowsecurity"] for row in rows}


async def _policies(connection: asyncpg.Connection[asyncpg.Record]) -> set[_Policy]:
    """Return all policies. One for several roles is not ours; it gets an empty role, and so is dropped."""
    rows = await connection.fetch(
        """
        select tablename, policyname, case when cardinality(roles) = 1 then roles[1] else '' end as role, cmd,
               case when permissive = 'PERMISSIVE' then coalesce(qual, '') else '' end as using, with_check
          from pg_policies
         where schemaname = 'public'"""
    )
    return {_Policy(*row) for row in rows}


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
