"""Users: look-ups for logins, and lists."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core import emails, glob
from counterfoil.core.principal import NIL
from counterfoil.core.subjects.account import Policy
from counterfoil.core.subjects.user import User
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.subject_row import listed, state_of, states
from counterfoil.postgres.tenant_connection import tenant
from counterfoil.postgres.token_context import account_context

_NAMED: Final = "select account_id from subject where (account_id, subject_id) = ($1, $1) and kind = 'account'"
_FIRST: Final = """
        select account_id
          from subject
         where kind = 'account'
           and details::json ->> 'parent' is null
         order by created_at, subject_id
         limit 1"""


class KnownUser(msgspec.Struct, frozen=True):
    """A user, their account's policy, and the hash of their password: argon2id's own text."""

    user: User
    policy: Policy
    password_hash: str

    def __repr__(self) -> str:
        return f"KnownUser({self.user.id})"


async def user_by_email(pool: Pool, account: UUID, email: str) -> tuple[UUID, KnownUser | None]:
    """Return the account (NIL if there is none) and its user with this address, in whatever spelling and status.

    It is one statement in every case, so that its time does not reveal whether the account or the user is missing.
    """
    row = await pool.fetchrow(
        f"""
        select a.details as account_details, p.hash, {listed("s")}
          from subject a
          left join (subject s join password p on (p.account_id, p.user_id) = (s.account_id, s.subject_id))
            on s.account_id = $1 and s.kind = 'user' and s.email_key = $2
         where (a.account_id, a.subject_id) = ($1, $1)""",
        account, emails.key(email),
    )  # fmt: skip
    if row is None:
        return NIL, None
    return account, None if row["kind"] is None else _known(row)


async def users_by_email(pool: Pool, email: str) -> list[KnownUser]:
    """Return the users of all accounts who have this e-mail address, in whatever spelling and status."""
    rows = await pool.fetch(
        f"""
        select a.details as account_details, p.hash, {listed("s")}
          from subject s
          join password p on (p.account_id, p.user_id) = (s.account_id, s.subject_id)
          join subject a on (a.account_id, a.subject_id) = (s.account_id, s.account_id)
         where s.kind = 'user' and s.email_key = $1
         order by s.account_id""",
        emails.key(email),
    )
    return [_known(row) for row in rows]


def _known(row: asyncpg.Record) -> KnownUser:
    user = state_of(row)
    if not isinstance(user, User):
        raise TypeError("the state of a user is a User")
    return KnownUser(user, account_context(row["account_details"]).policy, row["hash"])


async def first_account(pool: Pool, named: UUID | None) -> UUID | None:
    """Return the named account, if it exists; without a name, the account that was founded first."""
    found: UUID | None = await (pool.fetchval(_FIRST) if named is None else pool.fetchval(_NAMED, named))
    return found


async def rehash(pool: Pool, user: User, *, old: str, new: str) -> None:
    """Replace the hash of a password, unless the password was changed meanwhile."""
    await pool.execute(
        "update password set hash = $4 where (account_id, user_id, hash) = ($1, $2, $3)",
        user.account, user.id, old, new,
    )  # fmt: skip


class UserFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A filter of users: None matches all. `email` is a glob that ignores case."""

    role: str | None = None
    status: str | None = None
    email: str | None = None


@repeated
async def users_of(
    pool: Pool, account: UUID, wanted: UserFilter, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[User]:
    """Return up to `limit` users after a place (when the last one was added, and their id), in the order of adding."""
    pattern = None if wanted.email is None else glob.read(unicodedata.normalize("NFC", wanted.email), field="email")
    key = None if pattern is None or not pattern.is_exact else emails.key(pattern.prefix)
    async with tenant(pool, account) as connection:
        return await states(
            connection, User,
            """    account_id = $1
               and kind = 'user'
               and ($2::timestamptz is null or (created_at, subject_id) > ($2, $3::uuid))
               and ($4::text is null or details::json ->> 'role' = $4)
               and ($5::text is null or status = $5)
               and ($6::text is null or lower(name) like lower($6) or email_key = $7)
             order by created_at, subject_id
             limit $8""",
            account, *(after or (None, None)), wanted.role, wanted.status, pattern and pattern.like, key, limit,
        )  # fmt: skip


@repeated
async def one_user(pool: Pool, account: UUID, named: UUID | int | str) -> User | None:
    """Return one user of this account, by their id, their number or their e-mail address, in whatever spelling."""
    key: UUID | int | bytes = emails.key(named) if isinstance(named, str) else named
    condition = {UUID: "subject_id = $2", int: "number = $2", bytes: "email_key = $2"}[type(key)]
    async with tenant(pool, account) as connection:
        found = await states(connection, User, f"account_id = $1 and kind = 'user' and {condition}", account, key)
    return next(iter(found), None)
