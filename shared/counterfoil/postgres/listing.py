"""Lists of an account's tokens: filtered, sorted, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import asyncpg
import msgspec

from counterfoil.core import glob
from counterfoil.core.moments import Moment
from counterfoil.core.principal import Owner
from counterfoil.core.subjects.token.acceptance import Context, Status
from counterfoil.core.subjects.token.state import SESSION, Token, TokenStatus
from counterfoil.postgres import token_context
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.last_used import last_use
from counterfoil.postgres.periods import instant
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant
from counterfoil.postgres.token_row import listed, token_of

Sort = Literal["created", "name", "expires", "updated", "last_used", "number", "status"]


class Filter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A filter of tokens; None matches all. `name` is a glob; times are half-open: [after, before).

    A time may be a duration: for an expiry it counts from now, for other times back from now. A token matches if it has
    all of `metadata` with these values; there is no index on it, so a filter by metadata alone reads every token of the
    account. `unused_since` finds tokens that were created before and not used since, also tokens that were never used.
    With `status`, tokens of removed users count as revoked; `stored_status` never finds them.
    `search` is a part of the name and ignores case. With `sessions` false, tokens that a login created are omitted.
    `creator` is the id of the user or token that created them; `issuer` is the issuer of the JWTs that they trust.
    """

    name: str | None = None
    status: Status | None = None
    owner_type: str | None = None
    owner_id: str | None = None
    creator: UUID | None = None
    issuer: str | None = None
    scope: str | None = None
    metadata: dict[str, str] | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    expires_after: Moment | None = None
    expires_before: Moment | None = None
    last_used_after: Moment | None = None
    last_used_before: Moment | None = None
    unused_since: Moment | None = None
    stored_status: tuple[TokenStatus, ...] | None = None
    sessions: bool | None = None
    search: str | None = None
    numbers: tuple[int, ...] | None = None


EVERY: Final = Filter()
"""The filter that every token of the account passes."""


class Listed(msgspec.Struct, frozen=True):
    """A token with its context and its last use: exchanged or verified, whichever is later."""

    token: Token
    context: Context
    last_used_at: datetime | None
    at: datetime
    place: list[object]


LAST_USED: Final = f"greatest(t.last_exchanged_at, {last_use('t')})"
# The expressions of the indexes token_by_name and token_by_expiry, which serve filters and sorts.
_NAME: Final = "case when t.name is null then '' else t.name end"
EXPIRY: Final = "case when t.expires_at is null then 'infinity'::timestamptz else t.expires_at end"
_UNUSED: Final = "'-infinity'::timestamptz"
# Each sort with its SQL and its type. Tokens that never expire come last, tokens that were never used come first.
# Equal tokens sort by id; the time in an id is no sort order, because it is the clock of the process that made it.
_SORTS: Final[dict[str, tuple[str, str]]] = {
    "created": ("t.created_at", "timestamptz"),
    "name": (_NAME, "text"),
    "expires": (EXPIRY, "timestamptz"),
    "updated": ("t.updated_at", "timestamptz"),
    "last_used": (f"coalesce({LAST_USED}, {_UNUSED})", "timestamptz"),
    "number": ("t.number", "bigint"),
    "status": ("t.status", "text"),
}
_OWNER_REMOVED: Final = token_context.removed("t")
# With the time of the statement, so that a token that is listed as active is also shown as active.
_STATUS: Final[dict[str, str]] = {
    "revoked": f"(t.status = 'revoked' or {_OWNER_REMOVED})",
    "expired": f"t.status <> 'revoked' and ({EXPIRY}) <= statement_timestamp() and not {_OWNER_REMOVED}",
    "suspended": f"t.status = 'suspended' and ({EXPIRY}) > statement_timestamp() and not {_OWNER_REMOVED}",
    "active": f"t.status = 'active' and ({EXPIRY}) > statement_timestamp() and not {_OWNER_REMOVED}",
}


IS_SESSION: Final = f"right(t.dialect, {len(SESSION)}) = '{SESSION}'"
NO_SESSION: Final = f"not ({IS_SESSION})"
"""Sessions of logins expire by themselves and need no notice."""
_PLAIN: Final[dict[str, str]] = {
    "owner_type": "t.owner_type = {}",
    "owner_id": "t.owner_id = {}",
    "creator": "t.creator_id = {}::uuid",
    "issuer": "t.trust::json ->> 'issuer' = {}",
    "scope": "t.scopes::jsonb ? {}",
    "stored_status": "t.status = any({}::text[])",
    "sessions": f"({IS_SESSION}) = {{}}::boolean",
    "search": "position(lower({}) in lower(t.name)) > 0",
    "numbers": "t.number = any({}::bigint[])",
}
"""Filters that are one value in one condition."""


@repeated
async def page_of(
    pool: Pool, account: UUID, wanted: Filter, *, sort: Sort, descending: bool, after: list[object] | None, limit: int
) -> list[Listed]:
    """Return up to `limit` tokens after a place (`place` of the last token of the previous page)."""
    key, kind = _SORTS[sort]
    arguments: list[object] = [account]
    holding = ["t.account_id = $1", *conditions(wanted, arguments)]
    if after is not None:
        arguments += after
        n = len(arguments)
        holding.append(f"({key}, t.token_id) {'<' if descending else '>'} (${n - 1}::text::{kind}, ${n}::text::uuid)")
    direction = "desc" if descending else "asc"
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select {_columns(key)}
              from token t {token_context.joined("t")}
             where {" and ".join(holding)}
             order by {key} {direction}, t.token_id {direction}
             limit {limit:d}""",
            *arguments,
        )
    return [_listed(row) for row in rows]


@repeated
async def numbered_page(
    pool: Pool, account: UUID, wanted: Filter, *, sort: Sort, descending: bool, offset: int, limit: int
) -> tuple[list[Listed], int]:
    """Return up to `limit` tokens after skipping some, and how many there are in all, at one moment.

    For APIs with page numbers. It reads the skipped tokens as well, so use a cursor where the API allows it.
    """
    key, _ = _SORTS[sort]
    arguments: list[object] = [account]
    holding = " and ".join(["t.account_id = $1", *conditions(wanted, arguments)])
    direction = "desc" if descending else "asc"
    # Tokens of the same creation time sort by number; for all other sorts the index ends with the id.
    order = f"order by {key} {direction}, {'t.number' if sort == 'created' else 't.token_id'} {direction}"
    async with tenant(pool, account, "counted_use", "owner_quota", "subject", "token", "token_use") as connection:
        # The inner query reads only ids, so that only the tokens of the page are read as a whole.
        rows = await connection.fetch(
            f"""
            select {_columns(key)}
              from (select t.token_id from token t where {holding} {order} limit {limit:d} offset {offset:d}) as p
              join token t on t.account_id = $1 and t.token_id = p.token_id
                   {token_context.joined("t")}
             {order}""",
            *arguments,
        )
        total: int = offset + len(rows)
        if len(rows) == limit or (offset and not rows):  # otherwise this is the last page, which gives the total
            total = await connection.fetchval(f"select count(*) from token t where {holding}", *arguments)
    return [_listed(row) for row in rows], total


@repeated
async def owner_known(pool: Pool, account: UUID, owner: Owner) -> bool:
    """Return whether any token ever belonged to this owner."""
    async with tenant(pool, account) as connection:
        known: bool = await connection.fetchval(
            "select exists (select from token where account_id = $1 and owner_type = $2 and owner_id = $3)",
            account, owner.type, owner.id,
        )  # fmt: skip
    return known


@repeated
async def one(pool: Pool, account: UUID, *, token_id: UUID | None = None, number: int | None = None) -> Listed | None:
    """Return one token of this account, by its id or its number."""
    name, value = ("token_id", token_id) if token_id is not None else ("number", number)
    async with tenant(pool, account) as connection:
        row = await connection.fetchrow(
            f"""
            select {_columns("t.token_id")}
              from token t {token_context.joined("t")}
             where t.account_id = $1 and t.{name} = $2""",
            account,
            value,
        )
    return None if row is None else _listed(row)


def _columns(place: str) -> str:
    return f"""{listed("t")}, {LAST_USED} as last_used_at, ({place})::text as place,
                   statement_timestamp() as clock, {token_context.COLUMNS}"""


def _listed(row: asyncpg.Record) -> Listed:
    return Listed(
        token_of(row), token_context.context_of(row), row["last_used_at"], row["clock"],
        [row["place"], str(row["token_id"])],
    )  # fmt: skip


def conditions(wanted: Filter, arguments: list[object]) -> Sequence[str]:
    """Return the conditions on a token `t`, and add their values to the arguments."""

    def given(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    def moment(stated: Moment, direction: str = "-") -> str:
        return instant(stated, arguments, direction)

    found = []
    if wanted.name is not None:
        meant = glob.read(wanted.name, field="name")
        found.append(f"t.name is not null and ({_NAME}) like {given(meant.like)}")
        # Under row-level security `like` cannot use the index; this condition can.
        found.append(f"({_NAME}) ^@ {given(meant.prefix)}")
    if wanted.status is not None:
        found.append(_STATUS[wanted.status])
    for name, condition in _PLAIN.items():
        value = getattr(wanted, name)
        if value is not None:
            found.append(condition.format(given(value)))
    if wanted.stored_status is not None:
        found.append(f"not {_OWNER_REMOVED}")
    if wanted.metadata is not None:
        found.append(f"t.metadata::jsonb @> {given(msgspec.json.encode(wanted.metadata).decode())}::text::jsonb")
    if wanted.expires_after is not None:
        found.append("t.expires_at is not null")
    if wanted.unused_since is not None:
        found.append(f"coalesce({LAST_USED}, t.created_at) < {moment(wanted.unused_since)}")
    for column, direction, after, before in (
        ("t.created_at", "-", wanted.created_after, wanted.created_before),
        (f"({EXPIRY})", "+", wanted.expires_after, wanted.expires_before),
        (LAST_USED, "-", wanted.last_used_after, wanted.last_used_before),
    ):
        if after is not None:
            found.append(f"{column} >= {moment(after, direction)}")
        if before is not None:
            found.append(f"{column} < {moment(before, direction)}")
    return found
