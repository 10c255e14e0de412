"""JWTs accepted once are stored until they expire, for each account and token."""

import time
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from counterfoil.postgres import assertions
from counterfoil.postgres.connection import Connection, Pool, connect
from counterfoil_dev.postgres import Database

ONE, OTHER = UUID(int=1), UUID(int=2)
DIGEST = b"\x01" * 32


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    opened = await connect(database.app_url)
    yield opened
    await opened.close()


async def test_a_jwt_is_stored_for_its_account_and_token_only(connection: Connection) -> None:
    await assertions.keep(connection, [(ONE, ONE, DIGEST, time.time() + 60)])
    keys = [(ONE, ONE, DIGEST), (ONE, OTHER, DIGEST), (OTHER, ONE, DIGEST), (ONE, ONE, b"\x02" * 32)]
    assert await assertions.accepted(connection, keys) == {keys[0]}


async def test_a_jwt_is_deleted_after_it_expired_by_any_clock(pool: Pool, connection: Connection) -> None:
    ends = {bytes([n]) * 32: time.time() + hours * 3_600 for n, hours in enumerate((-30, -1.1, -0.9, 0, 24))}
    await assertions.keep(connection, [(ONE, ONE, digest, end) for digest, end in ends.items()])
    assert await assertions.forget(pool) == 2
    left = await assertions.accepted(connection, [(ONE, ONE, digest) for digest in ends])
    assert {digest for _, _, digest in left} == set([*ends][2:])


async def test_a_jwt_cannot_be_stored_twice(connection: Connection) -> None:
    await assertions.keep(connection, [(ONE, ONE, DIGEST, time.time())])
    with pytest.raises(asyncpg.UniqueViolationError):
        await assertions.keep(connection, [(ONE, ONE, DIGEST, time.time())])
