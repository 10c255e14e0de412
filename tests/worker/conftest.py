"""A receiver of webhooks, and all that stands between it and an event."""

from collections.abc import AsyncIterator

import pytest

from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, Pool
from counterfoil_dev.postgres import Database
from worker.token_lifetimes import hired
from worker.webhook_receiver import Receiver, receiver
from worker.webhook_world import World


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


@pytest.fixture
async def world(database: Database, door: Door, pool: Pool, owner: Connection, hook: Receiver) -> World:
    await hired(door)
    return World(database, door, pool, owner, hook)
