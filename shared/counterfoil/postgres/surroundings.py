"""What surrounds a token: its account's policy and the standing of its owner, joined to whatever statement reads it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import asyncpg
import msgspec
from msgspec.structs import replace

from counterfoil.subjects.account import UNBOUND, Policy
from counterfoil.subjects.user import held
from counterfoil.subjects.user_events import Role
from counterfoil.token import ALONE, Surroundings

# Owners of type user are users of ours if their id is one's; the door keeps such ids in this one spelling.
_OWNER: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_SHORT: Final = 1_000
"""Characters."""
COLUMNS: Final = (
    "a.details as account_details, "
    # What has this id may be no user. Asked in the join, the planner would read all users of the account.
    "case when o.kind = 'user' then o.standing else 'active' end as owner_standing, "
    "case when o.kind = 'user' then o.details end as owner_details"
)
BLANK: Final = "null::text as account_details, null::text as owner_standing, null::text as owner_details"


def joined(token: str = "t") -> str:  # noqa: S107 - an alias
    """Return the joins to a token's account and owner, both by primary key: they give COLUMNS."""
    # An account's own row has its id twice. Said plainly, the planner would look for account_id alone and filter the
    # rest of all its subjects by `subject_id = account_id`; it does not see through coalesce.
    return f"""
       left join subject a on a.account_id = {token}.account_id
                          and a.subject_id = coalesce({token}.account_id, {token}.account_id)
       left join subject o on o.account_id = {token}.account_id
                          and o.subject_id = case when {token}.owner_type = 'user' and {token}.owner_id ~ '{_OWNER}'
                                                  then {token}.owner_id::uuid end"""


class _Details(msgspec.Struct, frozen=True):
    policy: Policy = UNBOUND
    epoch: int = 0


def surroundings_of(row: asyncpg.Record) -> Surroundings:
    """Return what surrounds the token in a row that has COLUMNS."""
    around = _surroundings(row["account_details"], row["owner_standing"])
    owner = row["owner_details"]
    return around if owner is None else replace(around, owner_holds=_held(owner))


def around_all(details: str | None) -> Surroundings:
    """Return what the details of an account say of all its tokens."""
    return _surroundings(details, "active")


class _Person(msgspec.Struct, frozen=True):
    role: Role
    scopes: tuple[str, ...] = ()


def _held(details: str) -> tuple[str, ...]:
    # Only short ones are remembered: with many scopes each, 4,096 of them would fill the memory.
    return _short_held(details) if len(details) <= _SHORT else _read_held(details)


def _read_held(details: str) -> tuple[str, ...]:
    said = msgspec.json.decode(details, type=_Person)
    return held(said.role, said.scopes)


_short_held = lru_cache(maxsize=4096)(_read_held)


@lru_cache(maxsize=4096)
def _surroundings(details: str | None, owner: str) -> Surroundings:
    if details is None:
        return ALONE
    said = msgspec.json.decode(details, type=_Details)
    return Surroundings(said.policy, said.epoch, owner)
