"""Users, as logging in needs them and as they are listed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core import emails, glob, text
from counterfoil.core.principal import NIL
from counterfoil.core.subjects.account import Policy
from counterfoil.core.subjects.user import User
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.subject_row import listed, state_of
from counterfoil.postgres.tenant_connection import tenant
from counterfoil.postgres.token_context import around_all

_NAMED: Final = "select account_id from subject where (account_id, subject_id) = ($1, $1) and kind = 'account'"
_FIRST: Final = """
        select account_id
          from subject
         where kind = 'account'
           and details::json ->> 'parent' is null
         order by created_at, subject_id
         limit 1"""

# Two ways to a row: its key, and for rows that an older process wrote, or that have none, its name.
_NAMED_SO: Final = "(s.email_key = $2 or lower(s.name) in (lower($3), lower($4)))"
_SPELT: Final = "lower(s.name) = lower($3) as spelt, s.email_key is not null as keyed"


class KnownUser(msgspec.Struct, frozen=True):
    """A user, their account's policy, and the hash of their password: argon2id's own text."""

    user: User
    policy: Policy
    password_hash: str

    def __repr__(self) -> str:
        return f"KnownUser({self.user.id})"


async def user_by_email(pool: Pool, account: UUID, email: str) -> tuple[UUID, KnownUser | None]:
    """Return the account (NIL if there is none) and its user with this address, in whatever spelling and status.

    One statement, whichever of them is missing: time does not tell which.
    """
    rows = await pool.fetch(
        f"""
        select a.details as account_details, p.hash, {_SPELT}, {listed("s")}
          from subject a
          left join (subject s join password p on (p.account_id, p.user_id) = (s.account_id, s.subject_id))
            on s.account_id = $1 and s.kind = 'user' and {_NAMED_SO}
         where (a.account_id, a.subject_id) = ($1, $1)""",
        account, *_spellings(email),
    )  # fmt: skip
    if not rows:
        return NIL, None
    row = _meant(rows, email)
    return account, None if row is None else _known(row)


async def users_by_email(pool: Pool, email: str) -> list[KnownUser]:
    """Return the users of all accounts who have this e-mail address, in whatever spelling and status."""
    rows = await pool.fetch(
        f"""
        select a.details as account_details, p.hash, {_SPELT}, {listed("s")}
          from subject s
          join password p on (p.account_id, p.user_id) = (s.account_id, s.subject_id)
          join subject a on (a.account_id, a.subject_id) = (s.account_id, s.account_id)
         where s.kind = 'user' and {_NAMED_SO} and $1::uuid is null
         order by s.account_id""",
        None, *_spellings(email),
    )  # fmt: skip
    by_account = (list(group) for _, group in groupby(rows, key=itemgetter("account_id")))
    return [_known(row) for group in by_account if (row := _meant(group, email)) is not None]


def _spellings(email: str) -> tuple[bytes, str, str]:
    plain = email.replace("\0", "")
    return emails.key(email), plain, text.normal(plain)


def _meant(rows: Iterable[asyncpg.Record], email: str) -> asyncpg.Record | None:
    """Return the one of these rows whose address this is; of two who have it, who has it in this very spelling.

    Rows are only candidates: an older process may have changed a name, and not its key.
    """
    form = emails.canonical(email)
    found = [row for row in rows if row["name"] is not None and emails.canonical(row["name"]) == form]
    return min(found, key=lambda row: (not row["spelt"], not row["keyed"]), default=None)


def _known(row: asyncpg.Record) -> KnownUser:
    user = state_of(row)
    if not isinstance(user, User):
        raise TypeError("the state of a user is a User")
    return KnownUser(user, around_all(row["account_details"]).policy, row["hash"])


async def first_account(pool: Pool, named: UUID | None) -> UUID | None:
    """Return the account that was named, if there is one, or else the one that was founded first on the server."""
    found: UUID | None = await (pool.fetchval(_FIRST) if named is None else pool.fetchval(_NAMED, named))
    return found


async def rehash(pool: Pool, user: User, *, old: str, new: str) -> None:
    """Keep a password as another hash of the same, unless it was changed meanwhile."""
    await pool.execute(
        "update password set hash = $4 where (account_id, user_id, hash) = ($1, $2, $3)",
        user.account, user.id, old, new,
    )  # fmt: skip


class UserFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which users: what is None does not matter. `email` is a glob, and of any case."""

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
        rows = await connection.fetch(
            f"""
            select {listed("s")}
              from subject s
             where s.account_id = $1
               and s.kind = 'user'
               and ($2::timestamptz is null or (s.created_at, s.subject_id) > ($2, $3::uuid))
               and ($4::text is null or s.details::json ->> 'role' = $4)
               and ($5::text is null or s.status = $5)
               and ($6::text is null or lower(s.name) like lower($6) or s.email_key = $7)
             order by s.created_at, s.subject_id
             limit $8""",
            account, *(after or (None, None)), wanted.role, wanted.status, pattern and pattern.like, key, limit,
        )  # fmt: skip
    return [user for row in rows if isinstance(user := state_of(row), User)]


@repeated
async def one_user(pool: Pool, account: UUID, named: UUID | int | str) -> User | None:
    """Return one user of this account, by their id, their number or their e-mail address, in whatever spelling."""
    if isinstance(named, str):
        return await _one_so(pool, account, named)
    condition = "s.subject_id = $2" if isinstance(named, UUID) else "s.number = $2"
    async with tenant(pool, account) as connection:
        row = await connection.fetchrow(
            f"select {listed('s')} from subject s where s.account_id = $1 and s.kind = 'user' and {condition}",
            account, named,
        )  # fmt: skip
    return _user(row)


@repeated
async def _one_so(pool: Pool, account: UUID, email: str) -> User | None:
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select {_SPELT}, {listed("s")}
              from subject s
             where s.account_id = $1 and s.kind = 'user' and {_NAMED_SO}""",
            account, *_spellings(email),
        )  # fmt: skip
    return _user(_meant(rows, email))


def _user(row: asyncpg.Record | None) -> User | None:
    user = None if row is None else state_of(row)
    return user if isinstance(user, User) else None
