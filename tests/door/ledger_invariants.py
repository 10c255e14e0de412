"""Invariants of every ledger, checked from its tables with the owner's rights."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from counterfoil.core import codec, kinds
from counterfoil.core.events import Fact
from counterfoil.core.kinds import EVENTS
from counterfoil.core.locked import Row
from counterfoil.core.subjects.subject import Key
from counterfoil.core.subjects.token.events import Created, Rotated
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres import subject_row, token_row


@dataclass(frozen=True, slots=True)
class Ledger:
    """All rows of one database."""

    facts: list[Fact]
    rows: dict[Key, Row]
    secrets: int
    keys: int

    def holds_exactly(self, outcomes: Iterable[Outcome]) -> None:
        """Each acknowledged fact is there once, and no other fact is."""
        acknowledged = [fact for outcome in outcomes for fact in outcome.facts]
        assert sorted(self.facts, key=_place) == sorted(acknowledged, key=_place)

    def holds_all(self, outcomes: Iterable[Outcome]) -> None:
        """Each acknowledged fact is there; unacknowledged facts may be there too."""
        there = {_place(fact): fact for fact in self.facts}
        for outcome in outcomes:
            for fact in outcome.facts:
                assert there.get(_place(fact)) == fact


async def judged(owner_url: str) -> Ledger:
    """Read the whole ledger and compare it with its replay."""
    connection = await asyncpg.connect(owner_url)
    try:
        events = await connection.fetch(
            "select account_id, subject_id, version, ins_seq, type, at, entry, private, salt, xid::text from event"
            " order by account_id, subject_id, version"
        )
        tokens = await connection.fetch("select * from token")
        subjects = await connection.fetch("select * from subject")
        secrets = await connection.fetch("select token_id, generation from secret")
        unkept = await connection.fetchval(
            "select count(*) from idempotency_key where token_id is null or reply is null"
        )
        keys = await connection.fetchval("select count(*) from idempotency_key")
    finally:
        await connection.close()
    replayed, facts = _replayed(events)
    stored = {(row["account_id"], row["token_id"]): Row(token_row.token_of(row), row["leaf"]) for row in tokens}
    stored |= {(row["account_id"], row["subject_id"]): Row(subject_row.state_of(row), row["leaf"]) for row in subjects}
    assert stored == replayed
    assert sorted((row["token_id"], row["generation"]) for row in secrets) == sorted(
        (fact.subject.id, fact.event.generation) for fact in facts if isinstance(fact.event, Created | Rotated)
    )
    assert unkept == 0, "a key was kept without its answer"
    return Ledger(facts, stored, len(secrets), keys)


def _replayed(events: Sequence[asyncpg.Record]) -> tuple[dict[Key, Row], list[Fact]]:
    histories = defaultdict(list)
    for event in events:
        histories[event["account_id"], event["subject_id"]].append(event)
    facts: list[Fact] = []
    rows: dict[Key, Row] = {}
    for key, history in histories.items():
        row = Row(None, None)
        assert [event["version"] for event in history] == list(range(1, len(history) + 1)), "versions have a gap"
        assert [event["ins_seq"] for event in history] == sorted(event["ins_seq"] for event in history)
        assert [event["at"] for event in history] == sorted(event["at"] for event in history), "time ran backwards"
        for event in history:
            fact = _fact(event, row.leaf)
            facts.append(fact)
            row = Row(kinds.evolve(row.state, fact), codec.leaf_hash(event["entry"].encode()))
        rows[key] = row
    return rows, facts


def _fact(event: asyncpg.Record, leaf: bytes | None) -> Fact:
    """Read one event; its columns, entry, chain and commitment must agree."""
    entry = codec.entry_of(event["entry"])
    fact = codec.fact_of(entry, event["private"], EVENTS)
    assert (fact.account, fact.subject.id, fact.version, fact.type, fact.at) == tuple(event[name] for name in (
        "account_id", "subject_id", "version", "type", "at"))  # fmt: skip
    sealed = codec.seal(fact, prev=leaf, salt=event["salt"] or b"")
    assert sealed.entry.decode() == event["entry"], "the chain or the commitment is broken"
    return fact


def _place(fact: Fact) -> tuple[object, ...]:
    return fact.account.bytes, fact.subject.id.bytes, fact.version
