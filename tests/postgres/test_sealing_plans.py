"""The sealer reads only new events, however long the log is and whenever its statements were planned."""

import asyncio

from counterfoil.postgres.connection import Connection, open_pool
from counterfoil.postgres.log_state import log_state
from counterfoil_dev.postgres import Database
from postgres.sealing import seal_all
from postgres.test_sealing import connected, sealing_on

MANY = 100_000
_FILL = f"""
    insert into event (account_id, kind, subject_id, version, type, at, entry)
    select md5((n % 7)::text)::uuid, 'token', gen_random_uuid(), 1, 'created', clock_timestamp(), 'of a copy'
      from generate_series(1, {MANY}) n"""
_ONE_MORE = _FILL.replace(f"generate_series(1, {MANY})", "generate_series(1, 1)")
# The server publishes a session's counters shortly after its transaction, at the latest on request.
_READ = """
    select sum(seq_tup_read + idx_tup_fetch) + (select sum(idx_tup_read) from pg_stat_user_indexes)
      from pg_stat_user_tables"""


async def read_so_far(owner: Connection) -> int:
    await asyncio.sleep(1.5)
    await owner.execute("select pg_stat_force_next_flush()")
    return int(await owner.fetchval(_READ))


async def test_an_idle_pass_and_one_over_a_single_event_read_little_of_a_long_log(
    database: Database,
) -> None:
    async with connected(database.owner_url) as owner, sealing_on(database) as sealing:
        await sealing.step()
        assert not await sealing.has_news()  # planned while the tables are empty
        await owner.execute(_FILL)
        await seal_all(database.app_url)
        while not (await sealing.step()).finished:
            pass
        before = await read_so_far(owner)
        for _ in range(20):
            assert not await sealing.has_news()
            await owner.execute(_ONE_MORE)
            assert await sealing.has_news()
            assert (await sealing.step()).sealed == 1
            assert (await sealing.step()).sealed == 0
        await sealing._connection.execute("select pg_stat_force_next_flush()")
        assert await read_so_far(owner) - before < 2_000


async def test_an_open_transaction_does_not_make_every_pass_read_all_later_events(
    database: Database,
) -> None:
    async with (
        connected(database.owner_url) as owner, connected(database.owner_url) as slow, sealing_on(database) as sealing
    ):  # fmt: skip
        await slow.execute("begin")
        await slow.execute(_ONE_MORE)
        await owner.execute(_FILL)
        while not (await sealing.step()).finished:
            pass
        before = await read_so_far(owner)
        for _ in range(20):
            assert not await sealing.has_news()
            assert (await sealing.step()).sealed == 0
        await sealing._connection.execute("select pg_stat_force_next_flush()")
        assert await read_so_far(owner) - before < 2_000
        await slow.execute("commit")
        assert await sealing.has_news()
        assert (await sealing.step()).sealed == 1


async def test_the_state_of_sealing_reads_a_bounded_part_of_a_long_backlog(
    database: Database,
) -> None:
    async with connected(database.owner_url) as owner, await open_pool(database.app_url, size=1) as pool:
        await owner.execute(_FILL)
        before = await read_so_far(owner)
        state = await log_state(pool)
        assert (state.backlog, state.size) == (10_000, 0)
        await pool.execute("select pg_stat_force_next_flush()")
        assert await read_so_far(owner) - before < 60_000
