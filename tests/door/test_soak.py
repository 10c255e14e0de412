"""Server and clients are killed again and again: each answered command took effect exactly once."""

import asyncio
import random
import time
from itertools import count

import pytest
from msgspec.structs import replace

from counterfoil.core.refusals import Unavailable
from counterfoil.core.unit_of_work import Outcome
from counterfoil_dev.postgres import Database, Postgres
from door.asking import claim_of, create, exchange, rotate
from door.ledger_invariants import judged
from door.other_process import Asks, Elsewhere

SECONDS = 150
PROCESSES = 3
TOKENS = 60


class Client:
    """A client that repeats with the same keys until there is an answer, whatever is killed meanwhile."""

    keys = count()

    def __init__(self, database: Database) -> None:
        self._url = database.app_url
        self._process: Elsewhere | None = None
        self._made = [create() for _ in range(TOKENS)]
        self.answered: list[Outcome] = []
        self.interrupted = 0

    async def work(self, until: float) -> None:
        await self._insist([(made, claim_of(f"soak {next(self.keys)}")) for made in self._made])
        while time.monotonic() < until:
            some = random.sample(self._made, 20)
            asks = [(exchange(made), claim_of(f"soak {next(self.keys)}", holds_secret=False)) for made in some]
            place = random.randrange(TOKENS)
            turned = rotate(self._made[place], grace_seconds=3600, ends_previous=True)
            await self._insist([*asks, (turned, claim_of(f"soak {next(self.keys)}"))])
            self._made[place] = replace(self._made[place], secret=turned.secret)

    async def _insist(self, asks: Asks) -> None:
        while asks:
            try:
                answers = await (await self._running()).ask(asks)
            except (asyncio.IncompleteReadError, ConnectionError):  # killed in the middle of an answer
                self.interrupted += 1
                await self.kill()
                continue
            assert all(isinstance(answer, Outcome | Unavailable) for answer in answers), answers
            self.answered += [answer for answer in answers if isinstance(answer, Outcome)]
            asks = [ask for ask, answer in zip(asks, answers, strict=True) if isinstance(answer, Unavailable)]

    async def _running(self) -> Elsewhere:
        if self._process is None:
            self._process = await Elsewhere.start(self._url)
        return self._process

    async def kill(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            await process.kill()


async def _kill_clients(clients: list[Client], until: float) -> None:
    while time.monotonic() < until:
        await asyncio.sleep(random.uniform(1, 4))
        process = random.choice(clients)._process
        if process is not None:
            await process.kill()


async def _kill_server(server: Postgres, until: float) -> int:
    times = 0
    while time.monotonic() < until:
        await asyncio.sleep(random.uniform(0.5, 6))
        server.child.kill()
        await asyncio.sleep(random.choice((0, 0, 1)))
        await asyncio.to_thread(server.start)
        times += 1
    return times


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_every_answered_command_took_effect_exactly_once(own_server: Postgres) -> None:
    database = own_server.database()
    clients = [Client(database) for _ in range(PROCESSES)]
    until = time.monotonic() + SECONDS
    async with asyncio.TaskGroup() as group:
        killed = group.create_task(_kill_server(own_server, until))
        group.create_task(_kill_clients(clients, until))
        working = [group.create_task(client.work(until)) for client in clients]
        await asyncio.wait_for(asyncio.gather(*working), SECONDS + 60)
    for client in clients:
        await client.kill()
    ledger = await judged(database.owner_url)
    answered = [answer for client in clients for answer in client.answered]
    ledger.holds_all(answered)
    assert len(ledger.facts) == len(answered) == ledger.keys, "an event for each answer, and none besides"
    assert any(answer.replayed for answer in answered)
    assert killed.result() > SECONDS // 15
    assert sum(client.interrupted for client in clients) > SECONDS // 15
