"""A commit that others wait for also opens their transaction; when no command is left, no transaction stays open."""

import asyncio

from counterfoil.door import Door
from counterfoil.door.batch import Batch
from counterfoil.postgres.connection import Connection
from counterfoil_dev.postgres import Database
from door.asking import create, exchange, update
from door.ledger_invariants import judged

_OPEN = """
select count(*) from pg_stat_activity
 where datname = current_database() and state = 'idle in transaction' and application_name = 'counterfoil'"""


async def test_no_transaction_stays_open_when_no_command_waits(database: Database, owner: Connection) -> None:
    made = [create() for _ in range(40)]
    async with Door(database.app_url) as door:
        for _ in range(5):
            await asyncio.gather(*(door.execute(each) for each in made[:20]), return_exceptions=True)
            await asyncio.gather(*(door.execute(each) for each in made[20:]), return_exceptions=True)
            await asyncio.sleep(0.2)
            assert await owner.fetchval(_OPEN) == 0


async def test_commands_in_chained_transactions_each_take_effect_once(database: Database) -> None:
    batches: list[Batch] = []
    made = [create() for _ in range(30)]
    async with Door(database.app_url, observe=lambda batch, *_: batches.append(batch)) as door:
        outcomes = list(await asyncio.gather(*(door.execute(each) for each in made)))
        for turn in range(5):
            asked = [exchange(each) for each in made] + [update(each, name=f"turn {turn}") for each in made]
            outcomes += await asyncio.gather(*(door.execute(each) for each in asked))
    assert len({batch.xid for batch in batches}) == len(batches)
    (await judged(database.owner_url)).holds_exactly(outcomes)
