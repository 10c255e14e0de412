"""Bulk revocations with children: shared by two workers, killed, and counted once for each token."""

import asyncio
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest
import uuid_utils.compat as uuids

from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.secret import Peppers, mint
from counterfoil.core.subjects.bulk_revocation import (
    AcceptBulkRevocation,
    BulkRevocation,
    CancelBulkRevocation,
    Children,
    StartBulkRevocation,
)
from counterfoil.core.subjects.token.commands import Create, Revoke
from counterfoil.core.subjects.token.state import Token
from counterfoil.door import Door
from counterfoil.postgres.bulk_revocations import progress
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil.postgres.descent import moment, settled, stage_children
from counterfoil.postgres.listing import Filter
from counterfoil.postgres.selection import stage
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from counterfoil_worker.bulk_revocations import BulkRevocations
from worker.test_bulk_revocations import revocations, state_of, until_over
from worker.token_lifetimes import ACCOUNT, ROOT
from worker.workers import running

PEPPERS = Peppers({1: b"p" * 32})
NUMBERS = count(1_000_000)
CI = Owner("service", "ci")


def create(by: Principal, owner: Owner = CI) -> Create:
    return Create(
        account=ACCOUNT, id=uuids.uuid7(), by=by, number=next(NUMBERS), owner=owner, name="minted",
        secret=PEPPERS.minted(mint("service")), scopes=("tokens.create",),
    )  # fmt: skip


async def made(door: Door, creator: UUID | None = None, owner: Owner = CI) -> UUID:
    """A token created by this one, or by the administrator."""
    by = ROOT if creator is None else Principal(
        actor=Actor("token", creator), account=ACCOUNT, scopes=("tokens.create",), owner=CI
    )  # fmt: skip
    return (await door.execute(create(by, owner))).of(Token).id


async def tree(door: Door, width: int, depth: int) -> list[UUID]:
    """A token with this many children, and so on."""
    found = level = [await made(door)]
    for _ in range(depth):
        level = await asyncio.gather(*(made(door, parent) for parent in level for _ in range(width)))
        found = found + level
    return found


async def accepted(pool: Pool, door: Door, root: UUID, owner: Owner | None = None) -> BulkRevocation:
    """The bulk revocation that comes with the revocation of this token."""
    job_id, children = uuids.uuid7(), Children(made_by=root, owner=owner)
    found = await stage(pool, ACCOUNT, Filter(creator=root), revocation=job_id, digest=None, children=children)
    await door.execute(Revoke(account=ACCOUNT, id=root, by=ROOT, reason="leaked"))
    command = AcceptBulkRevocation(
        account=ACCOUNT, id=job_id, by=ROOT, plan="00", total=found.tokens, reason="leaked", children=children
    )
    state = (await door.execute(command)).state
    assert isinstance(state, BulkRevocation)
    return state


async def test_two_killed_workers_revoke_a_whole_tree_and_each_token_once(
    database: Database, valkey: Valkey, door: Door, pool: Pool, tmp_path: Path
) -> None:
    root, *tokens = await tree(door, width=5, depth=4)
    job = await accepted(pool, door, root)
    with running(database.app_url, valkey.url, tmp_path / "killed") as worker:
        worker.wait_until_said("worker_started")
        worker.kill()
    with ExitStack() as stack:
        for name in "ab":
            stack.enter_context(running(database.app_url, valkey.url, tmp_path / name))
        await until_over(pool)
    assert await revocations(database.app_url) == dict.fromkeys(tokens, 1)
    assert await state_of(database, job) == ("finished", len(tokens), len(tokens))


async def test_children_created_between_passes_are_found_part_by_part(door: Door, pool: Pool) -> None:
    root, child = await tree(door, width=1, depth=1)
    job = await accepted(pool, door, root)
    jobs = BulkRevocations(pool, door)
    late = await made(door, child)
    latest = await made(door, late)
    await jobs.work()
    assert await stage_children(pool, job, parts=0) is None, "there were other parts since"
    far = await progress(pool, job)
    assert (far.total, far.planned, far.revoked, far.left) == (3, 1, 3, 0)
    assert {row["token_id"] for row in await pool.fetch("select token_id from token where status = 'revoked'")} == {
        root, child, late, latest,
    }  # fmt: skip


async def test_a_cancelled_bulk_revocation_does_not_go_on_to_children(door: Door, pool: Pool) -> None:
    root, child = await tree(door, width=1, depth=1)
    job = await accepted(pool, door, root)
    await door.execute(StartBulkRevocation(account=ACCOUNT, id=job.id, by=ROOT))
    await door.execute(CancelBulkRevocation(account=ACCOUNT, id=job.id, by=ROOT))
    assert await BulkRevocations(pool, door).work() == 0
    status = "select status from token where token_id = $1"
    assert await pool.fetchval(status, child) == "active"


async def test_tokens_of_other_owners_are_passed_through_and_left_active(door: Door, pool: Pool) -> None:
    root = await made(door)
    other = await made(door, root, Owner("service", "other"))
    own = await made(door, other)
    await accepted(pool, door, root, CI)
    await BulkRevocations(pool, door).work()
    rows = await pool.fetch("select token_id, status from token where token_id = any($1)", [root, other, own])
    assert {row["token_id"]: row["status"] for row in rows} == {root: "revoked", other: "active", own: "revoked"}


async def test_a_moment_is_settled_when_all_earlier_writers_have_ended(database: Database, pool: Pool) -> None:
    async with await open_pool(database.app_url, size=1) as other, other.acquire() as connection:
        async with connection.transaction():
            await connection.fetchval("select pg_current_xact_id()")
            since = await moment(pool)
            assert not await settled(pool, since)
        for _ in range(600):  # other writers on this server are awaited, too
            if await settled(pool, since):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("nothing is under way, and the moment is not settled")
