"""The statements of one batch: lock the rows, append the events, save the resulting rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import asyncpg

from counterfoil.core.codec import Sealed
from counterfoil.core.events import Fact
from counterfoil.core.locked import Locked, Row
from counterfoil.core.secret import Minted
from counterfoil.core.subjects.subject import Key
from counterfoil.core.subjects.token.commands import Create, Exchange, Rotate
from counterfoil.core.subjects.token.kind import TokenReads
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Changes
from counterfoil.postgres import token_context, token_row
from counterfoil.postgres.connection import Connection, Pool

Patience = Literal["skip locked", ""]
Fate = Literal["committed", "aborted", "in progress"]


def _take(patience: Patience) -> str:
    # The statement locks the rows in the order of their keys, so that two batches cannot deadlock. It reads the clock
    # after it has locked the rows, so that no event is older than the lock on its row. Python joins the requested keys
    # with the locked rows: in SQL the join would be quadratic, or the planner would hash the whole table.
    return f"""
  with resolved as materialized (
         select w.account_id, w.token_id, null::bytea as digest, null::integer as presented
           from unnest($1::uuid[], $2::uuid[]) as w(account_id, token_id)
          union all
         select s.account_id, s.token_id, s.digest, s.generation
           from unnest($3::bytea[]) as p(digest)
           join secret s on s.digest = p.digest),
       taken as materialized (
         select {token_row.listed("t")}
           from token t
          where (t.account_id, t.token_id) in (select r.account_id, r.token_id from resolved r)
          order by t.account_id, t.token_id
            for update of t {patience})
select pg_current_xact_id()::text as xid, clock_timestamp() as clock,
       r.account_id as wanted_account, r.token_id as wanted_token, r.digest, r.presented,
       r.digest is not null or (select true from token x
                                 where (x.account_id, x.token_id) = (r.account_id, r.token_id)) is true as there,
       {token_row.blank()}, {token_context.BLANK}
  from (select) as one left join resolved r on true
 union all
select null, clock_timestamp(), null, null, null, null, null, {token_row.listed("t")}, {token_context.COLUMNS}
  from taken t {token_context.joined("t")}"""


_TAKE: Final[dict[Patience, str]] = {"skip locked": _take("skip locked"), "": _take("")}

_APPEND: Final = f"""
  with appended as (
         insert into event (account_id, kind, subject_id, version, type, at, entry, private, salt)
         select account_id, kind, subject_id, version, type, at, entry, private, salt
           from unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[],
                       $7::text[], $8::text[], $9::bytea[]) with ordinality
             as e(account_id, kind, subject_id, version, type, at, entry, private, salt, place)
          order by place),
       touched as (
         update token t
            set version = x.version, at = x.at, leaf = x.leaf, last_exchanged_at = x.at
           from unnest($10::uuid[], $11::uuid[], $12::bigint[], $13::timestamptz[], $14::bytea[])
             as x(account_id, token_id, version, at, leaf)
          where (t.account_id, t.token_id) = (x.account_id, x.token_id)),
       kept as (
         insert into secret (digest, account_id, token_id, generation, pepper_id, scheme)
         select digest, account_id, token_id, generation, pepper_id, scheme
           from unnest($15::bytea[], $16::uuid[], $17::uuid[], $18::integer[], $19::integer[], $20::text[])
             as s(digest, account_id, token_id, generation, pepper_id, scheme))
{token_row.upsert(21)}"""


async def take(
    connection: Connection, ids: Iterable[Key], digests: Iterable[bytes], *, patience: Patience = "skip locked"
) -> tuple[str, Locked]:
    """Lock the rows of these tokens and of the tokens of these digests; return the transaction's id and the rows.

    With `skip locked`, the keys of rows that other transactions have locked are in `held`. With an empty `patience`
    this waits for such rows, up to lock_timeout.
    """
    wanted = list(ids)
    records = await connection.fetch(
        _TAKE[patience], [account for account, _ in wanted], [token for _, token in wanted], list(digests)
    )
    locked = Locked(clock=max(record["clock"] for record in records))
    for record in records:
        if record["token_id"] is not None:
            key = (record["account_id"], record["token_id"])
            locked.rows[key] = Row(token_row.token_of(record), record["leaf"])
            locked.of(TokenReads).context[key] = token_context.context_of(record)
    for record in records:
        if record["wanted_token"] is not None:
            _add_locked(locked, record)
    return records[0]["xid"], locked


def _add_locked(locked: Locked, wanted: asyncpg.Record) -> None:
    key = (wanted["wanted_account"], wanted["wanted_token"])
    if wanted["digest"] is not None:
        locked.of(TokenReads).opened[wanted["digest"]] = (*key, wanted["presented"])
    if key in locked.rows:
        return
    if wanted["there"]:
        locked.held.add(key)
    else:
        locked.rows[key] = Row(None, None)


async def append(connection: Connection, locked: Locked, changes: Changes) -> None:
    """Insert the events and save the token rows that result from them, in one statement."""
    events = (
        (fact.account, fact.subject.kind, fact.subject.id, fact.version, fact.type, fact.at,
         sealed.entry.decode(), sealed.private and sealed.private.decode(), sealed.salt)
        for fact, sealed in changes.facts
    )  # fmt: skip
    touched = (
        (state.account, state.id, state.version, state.at, leaf)
        for state, leaf in _tokens(locked, changes, exchanged_only=True)
    )
    secrets = (
        (minted.digest, state.account, state.id, state.generation, minted.pepper_id, minted.scheme)
        for state, minted in _secrets(changes)
    )
    await connection.execute(
        _APPEND,
        *_columns(9, events),
        *_columns(5, touched),
        *_columns(6, secrets),
        *token_row.arrays(_tokens(locked, changes, exchanged_only=False)),
    )


def _tokens(locked: Locked, changes: Changes, *, exchanged_only: bool) -> Iterator[tuple[Token, bytes]]:
    for key, done in changes.done.items():
        row = locked.rows[key]
        only = all(isinstance(each.command, Exchange) for each in done)
        if only == exchanged_only and isinstance(row.state, Token) and row.leaf is not None:
            yield row.state, row.leaf


def _secrets(changes: Changes) -> Iterator[tuple[Token, Minted]]:
    for each in (each for done in changes.done.values() for each in done):
        if isinstance(each.command, Create | Rotate) and isinstance(each.after, Token) and each.command.secret:
            yield each.after, each.command.secret


async def fate(connection: Connection, xid: str, witness: Fact, sealed: Sealed) -> Fate:
    """Return what became of a transaction whose COMMIT was not answered.

    The status alone is no proof: after a crash, the server may assign an id again that it had not yet written to disk.
    So the transaction counts as committed only if one of its entries (`witness`) exists. Raises on a replica.
    """
    try:
        if await connection.fetchval("select pg_xact_status($1::text::xid8)", xid) == "in progress":
            return "in progress"
    except asyncpg.InvalidParameterValueError:
        pass  # the id is "in the future": the server forgot it in a crash, or this is a replica that lags
    await fence(connection)
    # A new statement, whose snapshot is taken after the transaction ended, so that it shows all its rows.
    there: bool = await connection.fetchval(
        """
        select exists (select from event
                        where account_id = $1 and subject_id = $2 and version = $3 and entry = $4)""",
        witness.account, witness.subject.id, witness.version, sealed.entry.decode(),
    )  # fmt: skip
    return "committed" if there else "aborted"


async def fence(connection: Connection | Pool) -> None:
    """Write a message to the WAL, so that our commit waits until all earlier commits are on disk and on the replicas.

    A replica refuses this.
    """
    await connection.execute("select pg_logical_emit_message(true, 'counterfoil', 'fence')")


def _columns(count: int, rows: Iterable[Sequence[object]]) -> list[Sequence[object]]:
    return list(zip(*rows, strict=True)) or [()] * count
