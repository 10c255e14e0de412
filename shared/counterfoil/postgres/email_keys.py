"""The keys by which e-mail addresses are looked up, filled in by `migrate`: Postgres cannot compute them (UTS 46).

Two users who have one address in two spellings, from before there were keys, are never merged: one gets the key, and
both are reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from counterfoil.core import emails
from counterfoil.postgres.connection import Connection

_CHUNK: Final = 500


class Keyed(NamedTuple):
    """A user with their address, None if it was erased, and the key that they have."""

    account: UUID
    id: UUID
    number: int | None
    name: str | None
    key: bytes | None


class Assigned(NamedTuple):
    """The key that each of these users is to have, and what an operator has to know."""

    keys: dict[tuple[UUID, UUID], bytes | None]
    complaints: list[str]


def assigned(users: Iterable[Keyed]) -> Assigned:
    """Return what to change, given all users, the oldest of each account first.

    Who has the right key keeps it, and else the oldest of those with one address gets it.
    """
    wanted = {(user.account, user.id): None if user.name is None else emails.key(user.name) for user in users}
    owners: dict[tuple[UUID, bytes], Keyed] = {}
    found = Assigned({}, [])
    for user in sorted(users, key=lambda user: user.key is None or user.key != wanted[user.account, user.id]):
        key = wanted[user.account, user.id]
        if key is not None and (owner := owners.setdefault((user.account, key), user)) is not user:
            found.complaints.append(_twice(user, owner))
            key = None
        if user.name is not None and ":" in user.name:
            found.complaints.append(_colon(user))
        if key != user.key:
            found.keys[user.account, user.id] = key
    return found


def _twice(user: Keyed, owner: Keyed) -> str:
    return (
        f"{_named(user)} has the e-mail address of {_named(owner)} in another spelling. Each goes on logging in with"
        f" their own spelling; give one of them another address, or remove one, and migrate again."
    )


def _colon(user: Keyed) -> str:
    return (
        f"{_named(user)} has an e-mail address with a colon, with which nobody can log in; give them another one:"
        f" counterfoil user update {user.number or user.id} --email ADDRESS"
    )


def _named(user: Keyed) -> str:
    return f"User {user.number or user.id} of the account {user.account}"


async def fill(connection: Connection) -> list[str]:
    """Give all users the keys of their addresses, and return what an operator has to know; it names no address."""
    there = await connection.fetchval(
        "select exists (select from pg_attribute where attrelid = to_regclass('subject') and attname = 'email_key')"
    )
    if not there:
        return []
    found = assigned([Keyed(*row) for row in await _users(connection)])
    # First those that nobody is to have any more, so that none stands in the way of its new owner.
    for chunk in _chunks([(*who, None) for who in found.keys]):
        await _keep(connection, chunk)
    for chunk in _chunks([(*who, key) for who, key in found.keys.items() if key is not None]):
        await _keep(connection, chunk)
    return found.complaints


async def _users(connection: Connection) -> list[asyncpg.Record]:
    return await connection.fetch(
        """
        select s.account_id, s.subject_id, s.number, s.name, s.email_key
          from subject s
         where s.kind = 'user'
           and (s.name is not null or s.email_key is not null)
         order by s.account_id, s.created_at, s.subject_id"""
    )


async def _keep(connection: Connection, keys: Sequence[tuple[UUID, UUID, bytes | None]]) -> None:
    """Write keys; the rows are locked in the order in which the door locks them."""
    await connection.execute(
        """
          with held as (
               select s.account_id, s.subject_id
                 from subject s
                where (s.account_id, s.subject_id) in (select a, i from unnest($1::uuid[], $2::uuid[]) as k(a, i))
                order by s.account_id, s.subject_id
                  for update)
        update subject s
           set email_key = k.email_key
          from unnest($1::uuid[], $2::uuid[], $3::bytea[]) as k(account_id, subject_id, email_key)
          join held h on (h.account_id, h.subject_id) = (k.account_id, k.subject_id)
         where (s.account_id, s.subject_id) = (k.account_id, k.subject_id)""",
        *zip(*keys, strict=True),
    )


def _chunks(
    keys: Sequence[tuple[UUID, UUID, bytes | None]],
) -> Iterator[Sequence[tuple[UUID, UUID, bytes | None]]]:
    return (keys[first : first + _CHUNK] for first in range(0, len(keys), _CHUNK))
