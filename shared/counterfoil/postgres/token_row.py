"""A token's state as a row, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import asyncpg
import msgspec

from counterfoil.core.principal import Actor, Owner
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.trust import Trust

_TYPES: Final = {
    "account_id": "uuid", "token_id": "uuid", "number": "bigint", "owner_type": "text", "owner_id": "text",
    "creator_kind": "text", "creator_id": "uuid", "name": "text", "description": "text", "scopes": "text",
    "metadata": "text", "status": "text", "lifetime": "text", "expires_at": "timestamptz",
    "lifetime_start": "timestamptz", "thresholds": "text", "announced": "integer", "next_due_at": "timestamptz",
    "created_at": "timestamptz", "updated_at": "timestamptz", "last_exchanged_at": "timestamptz",
    "generation": "integer", "epoch": "integer", "previous_until": "timestamptz",
    "previous_epoch": "integer", "hint": "text", "previous_hint": "text", "rotated_at": "timestamptz",
    "grace_start": "timestamptz", "grace_announced": "integer", "dialect": "text",
    "cloned_from": "uuid", "networks": "text", "rate_limit": "text",
    "reason": "text", "revision": "bigint", "version": "bigint", "at": "timestamptz",
    "leaf": "bytea", "suspended_by_owner": "boolean", "max_uses": "bigint", "trust": "text",
    "trust_by_kind": "text", "trust_by_id": "uuid",
}  # fmt: skip
"""Every column of the table in order, with its type; lists travel as JSON text, since ragged text[][] is refused."""

_SHORT: Final = 1_000
"""Characters."""
COLUMNS: Final = tuple(_TYPES)
_FIXED: Final = {"account_id", "token_id", "number", "owner_type", "owner_id", "creator_kind", "creator_id",
                 "created_at", "dialect", "cloned_from"}  # fmt: skip

_metadata: Final = msgspec.json.Decoder(dict[str, str]).decode
_sorted: Final = msgspec.json.Encoder(order="sorted").encode


def listed(alias: str) -> str:
    """Return the columns as a select list: `t.account_id, t.token_id, …`."""
    return ", ".join(f"{alias}.{column}" for column in COLUMNS)


def blank() -> str:
    """Return a select list of nulls with the columns' types and names."""
    return ", ".join(f"null::{kind} as {column}" for column, kind in _TYPES.items())


def upsert(first: int) -> str:
    """Return the statement that writes rows from arrays, whose parameters are numbered from `first`."""
    arrays = ", ".join(f"${first + n}::{kind}[]" for n, kind in enumerate(_TYPES.values()))
    changes = ", ".join(f"{column} = excluded.{column}" for column in COLUMNS if column not in _FIXED)
    return f"""
        insert into token ({", ".join(COLUMNS)})
        select {", ".join(COLUMNS)} from unnest({arrays}) as x({", ".join(COLUMNS)})
            on conflict (account_id, token_id) do update set {changes}"""


def arrays(rows: Iterable[tuple[Token, bytes]]) -> list[Sequence[object]]:
    """Return one array a column, as `upsert` takes them, from states and their leaf hashes."""
    cells = [_cells(token, leaf) for token, leaf in rows]
    return list(zip(*cells, strict=True)) if cells else [()] * len(COLUMNS)


def _cells(token: Token, leaf: bytes) -> tuple[object, ...]:
    return (
        token.account, token.id, token.number, token.owner.type, token.owner.id, token.creator.kind,
        token.creator.id, token.name, token.description, _text(token.scopes), _text(token.metadata),
        token.status, token.lifetime, token.expires_at, token.lifetime_start, _text(token.thresholds),
        token.announced, token.next_due_at, token.created_at, token.updated_at, token.last_exchanged_at,
        token.generation, token.epoch, token.previous_until, token.previous_epoch, token.hint, token.previous_hint,
        token.rotated_at, token.grace_start, token.grace_announced, token.dialect,
        token.cloned_from, _text(token.networks), token.rate_limit, token.reason,
        token.revision, token.version, token.at, leaf, token.suspended_by_owner, token.max_uses,
        None if token.trust is None else _text(token.trust), token.trust_by and token.trust_by.kind,
        token.trust_by and token.trust_by.id,
    )  # fmt: skip


def token_of(row: asyncpg.Record) -> Token:
    """Return the state in a row that has all COLUMNS."""
    return Token(
        account=row["account_id"], id=row["token_id"], number=row["number"],
        owner=Owner(row["owner_type"], row["owner_id"]), creator=Actor(row["creator_kind"], row["creator_id"]),
        name=row["name"], description=row["description"], scopes=words(row["scopes"]),
        metadata=_metadata(row["metadata"]), status=row["status"],
        lifetime=row["lifetime"], expires_at=row["expires_at"], lifetime_start=row["lifetime_start"],
        thresholds=numbers(row["thresholds"]), announced=row["announced"], next_due_at=row["next_due_at"],
        created_at=row["created_at"], updated_at=row["updated_at"], last_exchanged_at=row["last_exchanged_at"],
        generation=row["generation"], epoch=row["epoch"], previous_until=row["previous_until"],
        previous_epoch=row["previous_epoch"], hint=row["hint"], previous_hint=row["previous_hint"],
        rotated_at=row["rotated_at"], grace_start=row["grace_start"], grace_announced=row["grace_announced"],
        dialect=row["dialect"], cloned_from=row["cloned_from"],
        networks=words(row["networks"]), rate_limit=row["rate_limit"], reason=row["reason"], revision=row["revision"],
        version=row["version"], at=row["at"], suspended_by_owner=row["suspended_by_owner"],
        max_uses=row["max_uses"],
        trust=trust_of(row["trust"]),
        trust_by=None if row["trust_by_id"] is None else Actor(row["trust_by_kind"], row["trust_by_id"]),
    )  # fmt: skip


def trust_of(text: str | None) -> Trust | None:
    """Return the trust in a JSON text."""
    return None if text is None else msgspec.json.decode(text, type=Trust)


def words(text: str) -> tuple[str, ...]:
    """Return the scopes in a JSON text."""
    # Only short ones are remembered: 4,096 lists of 60 kB would be a gigabyte.
    return _short_words(text) if len(text) <= _SHORT else msgspec.json.decode(text, type=tuple[str, ...])


@lru_cache(maxsize=4096)
def _short_words(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])


@lru_cache(maxsize=256)
def numbers(text: str) -> tuple[int, ...]:
    """Return the thresholds in a JSON text."""
    return msgspec.json.decode(text, type=tuple[int, ...])


def _text(value: object) -> str:
    return _sorted(value).decode()
