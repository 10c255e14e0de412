"""When the answer to COMMIT is lost, the door asks the database for the result; no command is repeated or dropped."""

import asyncio

import pytest
from msgspec.structs import replace

from counterfoil.core.codec import Sealed
from counterfoil.core.events import Fact
from counterfoil.door import Door
from counterfoil.postgres import batch as sql
from counterfoil.postgres.connection import Connection, connect
from counterfoil_dev.postgres import Database
from door.asking import answer, claim_of, create, exchange
from door.ledger_invariants import judged
from door.proxy import Failure, arrive_late, cutting, hurry, lose_the_answer, lose_the_question

FAILURES: list[Failure] = [lose_the_answer, lose_the_question, hurry, arrive_late]


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_command_whose_commit_was_cut_is_acknowledged_once(database: Database, failure: Failure) -> None:
    async with cutting(database) as proxy, Door(proxy.url) as door:
        made = create()
        outcomes = [await door.execute(made)]
        proxy.failures = [failure]
        outcomes.append(await door.execute(exchange(made)))
        outcomes.append(await door.execute(exchange(made)))
        assert not proxy.failures
    (await judged(database.owner_url)).holds_exactly(outcomes)


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_creation_whose_commit_was_cut_is_acknowledged_once(database: Database, failure: Failure) -> None:
    async with cutting(database) as proxy, Door(proxy.url) as door:
        proxy.failures = [failure]
        claimed = claim_of("key")
        outcome = await door.execute(create(), claimed, answer)
        assert outcome.facts[0].version == 1
        assert claimed.opened(claimed.sealed(outcome.reply or b"")) == answer(outcome)
    ledger = await judged(database.owner_url)
    ledger.holds_exactly([outcome])
    assert ledger.keys == 1


async def test_every_command_of_every_cut_batch_is_acknowledged_once(database: Database) -> None:
    async with cutting(database) as proxy, Door(proxy.url) as door:
        tokens = [create() for _ in range(20)]
        outcomes = list(await asyncio.gather(*(door.execute(token) for token in tokens)))

        async def keep_exchanging(worker: int) -> None:
            for turn in range(25):
                outcome = await door.execute(exchange(tokens[(worker + turn) % len(tokens)]))
                outcomes.append(outcome)

        proxy.failures = FAILURES * 5
        await asyncio.gather(*(keep_exchanging(worker) for worker in range(16)))
        assert len(proxy.failures) < 10
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_replay_whose_commit_was_lost_is_still_a_replay(database: Database) -> None:
    async with cutting(database) as proxy, Door(proxy.url) as door:
        first = await door.execute(create(), claim_of("key"), answer)
        proxy.failures = [lose_the_answer]
        again = await door.execute(create(), claim_of("key"), answer)
    assert (again.replayed, again.reply) == (True, first.reply)
    (await judged(database.owner_url)).holds_exactly([first])


async def test_an_open_transaction_is_reported_as_in_progress(database: Database, owner: Connection) -> None:
    fact, sealed = await _witness(database, owner)
    missing = replace(fact, version=99)
    other, asking = await connect(database.app_url), await connect(database.app_url)
    await other.execute("begin")
    xid = await other.fetchval("select pg_current_xact_id()::text")
    assert await sql.fate(asking, xid, missing, sealed) == "in progress"
    await other.execute("rollback")
    assert await sql.fate(asking, xid, missing, sealed) == "aborted"
    assert await sql.fate(asking, str(2**40), missing, sealed) == "aborted", "an id from before a crash"
    assert await sql.fate(asking, xid, fact, sealed) == "committed"
    await other.close()
    await asking.close()


async def test_a_commit_never_counts_as_aborted_while_it_happens(database: Database, owner: Connection) -> None:
    """The status and the marker are read one after the other; the commit may fall between them."""
    committing, asking = await connect(database.app_url), await connect(database.app_url)
    fact, sealed = await _witness(database, owner)
    for version in range(2, 300):
        await committing.execute("begin")
        xid = await committing.fetchval("select pg_current_xact_id()::text")
        await committing.execute(
            "insert into event (account_id, kind, subject_id, version, type, at, entry) select account_id, kind,"
            f" subject_id, {version}, type, at, entry from event where version = 1"
        )
        commit = asyncio.create_task(committing.execute("commit"))
        fate = "in progress"
        while fate == "in progress":
            fate = await sql.fate(asking, xid, replace(fact, version=version), sealed)
        assert fate == "committed"
        await commit
    await committing.close()
    await asking.close()


async def _witness(database: Database, owner: Connection) -> tuple[Fact, Sealed]:
    async with Door(database.app_url) as door:
        outcome = await door.execute(create())
    entry = (await owner.fetchval("select entry from event")).encode()
    return outcome.facts[0], Sealed(entry=entry, private=None, salt=None, leaf=b"")
