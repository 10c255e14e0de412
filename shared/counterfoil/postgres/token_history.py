"""Tokens as they were right after events of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from counterfoil.core.events import Fact
from counterfoil.core.subjects.token.state import Token, evolve
from counterfoil.postgres.facts import facts_in
from counterfoil.postgres.followers import Transaction
from counterfoil.postgres.token_row import listed, token_of


async def tokens_after(connection: Transaction, facts: Sequence[Fact]) -> list[Token]:
    """Return the token of each event as it was right after it.

    Mostly that is its row. A token that has changed since is evolved from its events, without its exchanges, which
    change nothing but a time.
    """
    if not facts:
        return []
    present = await _present(connection, facts)
    found = []
    for fact in facts:
        row = present.get((fact.account, fact.subject.id))
        is_present = row is not None and row.version == fact.version
        found.append(row if is_present and row is not None else await _evolved(connection, fact))
    return found


async def _present(connection: Transaction, facts: Iterable[Fact]) -> dict[tuple[UUID, UUID], Token]:
    keys = sorted({(fact.account, fact.subject.id) for fact in facts})
    rows = await connection.fetch(
        f"""
        select {listed("t")}
          from token t
         where (t.account_id, t.token_id) in (select a, i from unnest($1::uuid[], $2::uuid[]) as k(a, i))""",
        [key[0] for key in keys], [key[1] for key in keys],
    )  # fmt: skip
    return {(token.account, token.id): token for token in map(token_of, rows)}


async def _evolved(connection: Transaction, fact: Fact) -> Token:
    rows = await connection.fetch(
        """
        select entry, private
          from event
         where (account_id, subject_id) = ($1, $2)
           and version <= $3
           and type <> 'exchanged'
         order by version""",
        fact.account, fact.subject.id, fact.version,
    )  # fmt: skip
    token = None
    for each in facts_in(rows):
        token = evolve(token, each)
    if token is None:
        raise LookupError("a token has events")
    return token
