"""The context of a token: its account's policy and its owner's status, joined to the statements that read it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
from msgspec.structs import replace

from counterfoil.core.bounds import OwnerQuota
from counterfoil.core.subjects.account import UNBOUND, Policy
from counterfoil.core.subjects.token.acceptance import ALONE, Context
from counterfoil.core.subjects.user import held
from counterfoil.core.subjects.user_events import Role

# An owner of type user is a user of ours if the id is one of a user; the door stores such ids in this spelling.
_OWNER: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_SHORT: Final = 1_000
"""Characters."""
COLUMNS: Final = (
    # Uses are looked up only if they are limited: most tokens have no row there.
    "case when t.max_uses is not null then (select c.used from counted_use c"
    " where c.account_id = t.account_id and c.subject_id = t.token_id) end as used, "
    # All columns of a quota as one text, without a join: most tokens have no quota, and then this is only a null.
    "(select json_build_array(x.subject_id, x.rate_limit, x.max_uses, x.max_tokens,"
    " (select c.used from counted_use c where c.account_id = x.account_id and c.subject_id = x.subject_id))::text"
    " from owner_quota x where x.account_id = t.account_id and x.owner_type = t.owner_type"
    " and x.owner_id = t.owner_id) as quota, "
    "a.details as account_details, "
    # The subject with this id may be no user. As a join condition, this would make the planner read all users.
    "case when o.kind = 'user' then o.status else 'active' end as owner_status, "
    "case when o.kind = 'user' then o.details end as owner_details"
)
"""The columns of a token `t` and of the rows that are `joined` to it."""
BLANK: Final = (
    "null::bigint as used, null::text as quota, "
    "null::text as account_details, null::text as owner_status, null::text as owner_details"
)


def joined(token: str = "t") -> str:  # noqa: S107 - an alias
    """Return the joins to a token's account and owner, both by primary key: they give COLUMNS."""
    # The row of an account has the account's id in both columns. With plain conditions the planner would read all
    # subjects of the account and filter them; `coalesce` hides from it that both values are the same.
    return f"""
       left join subject a on a.account_id = {token}.account_id
                          and a.subject_id = coalesce({token}.account_id, {token}.account_id)
       left join subject o on o.account_id = {token}.account_id
                          and o.subject_id = case when {token}.owner_type = 'user' and {token}.owner_id ~ '{_OWNER}'
                                                  then {token}.owner_id::uuid end"""


def removed(token: str = "t") -> str:  # noqa: S107 - an alias
    """Return the condition that the user who owned a token was removed: one look-up by primary key."""
    return _owner_is("removed", token)


def disabled(token: str = "t") -> str:  # noqa: S107 - an alias
    """Return the condition that the user who owns a token is disabled: one look-up by primary key."""
    return _owner_is("disabled", token)


def _owner_is(status: str, token: str) -> str:
    return f"""exists (select
                   from subject o
                  where o.account_id = {token}.account_id
                    and o.subject_id = case when {token}.owner_type = 'user' and {token}.owner_id ~ '{_OWNER}'
                                            then {token}.owner_id::uuid end
                    and o.kind = 'user'
                    and o.status = '{status}')"""


class _Details(msgspec.Struct, frozen=True):
    policy: Policy = UNBOUND
    epoch: int = 0


def context_of(row: asyncpg.Record) -> Context:
    """Return the context of the token in a row that has COLUMNS."""
    context = _context(row["account_details"], row["owner_status"])
    if (owner := row["owner_details"]) is not None:
        context = replace(context, owner_holds=_held(owner))
    if (used := row["used"]) is not None:
        context = replace(context, used=used)
    if (text := row["quota"]) is None:
        return context
    quota, rate_limit, max_uses, max_tokens, owner_used = _read_quota(text)
    return replace(context, quota=OwnerQuota(quota, rate_limit, max_uses, max_tokens), owner_used=owner_used or 0)


def account_context(details: str | None) -> Context:
    """Return the context that an account's details give all its tokens."""
    return _context(details, "active")


_read_quota: Final = msgspec.json.Decoder(tuple[UUID, str | None, int | None, int | None, int | None]).decode


class _User(msgspec.Struct, frozen=True):
    role: Role
    scopes: tuple[str, ...] = ()


def _held(details: str) -> tuple[str, ...]:
    # Only short texts are cached: 4,096 long ones would need too much memory.
    return _short_held(details) if len(details) <= _SHORT else _read_held(details)


def _read_held(details: str) -> tuple[str, ...]:
    found = msgspec.json.decode(details, type=_User)
    return held(found.role, found.scopes)


_short_held = lru_cache(maxsize=4096)(_read_held)


@lru_cache(maxsize=4096)
def _context(details: str | None, owner: str) -> Context:
    if details is None:
        return ALONE
    found = msgspec.json.decode(details, type=_Details)
    return Context(found.policy, found.epoch, owner)
