"""Users in Postgres: the administrators and addresses that decisions read; passwords and second factors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from counterfoil.core import emails
from counterfoil.core.locked import Locked
from counterfoil.core.subjects.subject import Command, Unresolved
from counterfoil.core.subjects.user_commands import (
    ChangePassword,
    CreateUser,
    EnrolTotp,
    RemoveTotp,
    RemoveUser,
    UpdateUser,
    UseRecoveryCode,
)
from counterfoil.core.subjects.user_kind import UserReads
from counterfoil.core.unit_of_work import Done
from counterfoil.postgres import one_time
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.store import Store


class UserStore(Store):
    """The store of users."""

    async def read(self, connection: Connection, commands: Sequence[Command | Unresolved], locked: Locked) -> None:
        """Read the administrators of accounts that could lose the last one, and the holders of wanted addresses."""
        reads = locked.of(UserReads)
        if guarded := {c.account for c in commands if isinstance(c, Command) and c.guards}:
            reads.administrators = await _administrators(connection, guarded)
        wanted = [(c.account, c.email) for c in commands if isinstance(c, CreateUser | UpdateUser)]
        if stated := [(account, email) for account, email in wanted if isinstance(email, str)]:
            reads.emails = await _holders(connection, stated)

    async def keep(self, connection: Connection, done: Sequence[Done]) -> None:
        """Write password hashes, seeds and recovery codes."""
        for each in done:
            await _keep(connection, each.command)


async def _administrators(connection: Connection, accounts: Iterable[UUID]) -> dict[UUID, frozenset[UUID]]:
    """Return the active administrators of each account; they cannot change while the account's row is locked."""
    rows = await connection.fetch(
        """
        select s.account_id, s.subject_id
          from subject s
         where s.kind = 'user'
           and s.account_id = any($1::uuid[])
           and s.status = 'active'
           and s.details::json ->> 'role' = 'administrator'""",
        wanted := list(accounts),
    )
    return {account: frozenset(row["subject_id"] for row in rows if row["account_id"] == account) for account in wanted}


async def _holders(
    connection: Connection, wanted: Sequence[tuple[UUID, str]]
) -> dict[UUID, dict[str, frozenset[UUID]]]:
    """Return by account which of its users has each of these e-mail addresses, in whatever spelling."""
    rows = await connection.fetch(
        """
        select s.account_id, w.email, s.subject_id
          from unnest($1::uuid[], $2::text[], $3::bytea[]) as w(account_id, email, email_key)
          join subject s
            on s.account_id = w.account_id
           and s.kind = 'user'
           and s.email_key = w.email_key""",
        *zip(*((account, email, emails.key(email)) for account, email in wanted), strict=True),
    )
    found: dict[UUID, dict[str, frozenset[UUID]]] = {}
    for row in rows:
        held = found.setdefault(row["account_id"], {})
        held[row["email"]] = held.get(row["email"], frozenset()) | {row["subject_id"]}
    return found


async def _keep(connection: Connection, command: Command) -> None:
    account, user = command.key
    match command:
        case CreateUser(password_hash=hashed) | ChangePassword(password_hash=hashed):
            await connection.execute(
                """
                insert into password (account_id, user_id, hash) values ($1, $2, $3)
                    on conflict (account_id, user_id) do update set hash = excluded.hash""",
                account, user, hashed,
            )  # fmt: skip
        case RemoveUser():
            await connection.execute("delete from password where (account_id, user_id) = ($1, $2)", account, user)
            await one_time.forget(connection, account, user)
        case EnrolTotp():
            await one_time.enrol(connection, account, user, command.encrypted_seed, command.last_step)
            await one_time.keep_codes(connection, account, user, command.recovery_digests, command.pepper_id)
        case RemoveTotp():
            await one_time.forget(connection, account, user)
        case UseRecoveryCode(index=index, digest=digest):  # the state alone does not say which code was used
            await one_time.spend(connection, account, user, index, digest)
        case _:
            pass
