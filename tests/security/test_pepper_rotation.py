"""H32, B7. A new pepper under load: three processes are restarted one after the other, and no request is lost."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession

from api.service import Caller, basic, founded, settings_for
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.subjects.peppers import PEPPER_SET, SYNC_SECONDS, ActivatePepper, RetirePepper
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.peppers import Left, announced, left
from counterfoil_dev.postgres import Database
from security.processes import several
from security.test_peppers import BOTH, NEW, OLD

KEY = "a-key-that-nobody-guesses-1"


@dataclass(slots=True)
class Fleet:
    """Three processes behind a load balancer that uses only those that are up."""

    database: Database
    token: str
    verifier: str = ""
    up: list[ClientSession] = field(default_factory=list)
    under_way: Counter[ClientSession] = field(default_factory=Counter)
    ending: dict[ClientSession, AsyncExitStack] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    done: int = 0

    @asynccontextmanager
    async def anyone(self) -> AsyncIterator[ClientSession]:
        process = random.choice(self.up)
        self.under_way[process] += 1
        try:
            yield process
        finally:
            self.under_way[process] -= 1

    async def start(self, peppers: str) -> None:
        stack = AsyncExitStack()
        (url,) = await stack.enter_async_context(several(self.database, 1, PEPPERS=peppers, GUESS_LIMIT="none"))
        process = await stack.enter_async_context(ClientSession(url))
        self.ending[process] = stack
        self.up.append(process)

    async def stop(self, process: ClientSession) -> None:
        self.up.remove(process)
        await until(lambda: not self.under_way[process])
        await self.ending.pop(process).aclose()

    async def roll(self, peppers: str) -> None:
        """Restart one process after the other; two are up at any time."""
        for process in list(self.up):
            await self.stop(process)
            await self.start(peppers)

    async def live(self, over: asyncio.Event) -> None:
        """Issue anywhere, and verify, exchange and use anywhere else."""
        while not over.is_set():
            async with self.anyone() as process:
                self.secrets.append((await Caller(process, f"Bearer {self.token}").issue())["secret"])
            for secret in (self.secrets[-1], random.choice(self.secrets)):
                async with self.anyone() as process:
                    said = await Caller(process, f"Bearer {self.verifier}").form("/v1/introspect", token=secret)
                    assert said.json["active"]
                async with self.anyone() as process:
                    assert (await Caller(process, basic("", secret)).post("/v1/exchange")).status == 200
            self.done += 5

    async def more(self, requests: int) -> None:
        wanted = self.done + requests
        await until(lambda: self.done > wanted)

    async def verify_all(self) -> None:
        """Use every secret, so that each is digested again."""
        for secret in list(self.secrets):
            async with self.anyone() as process:
                assert (await Caller(process, f"Bearer {secret}").get("/v1/tokens/self")).status == 200


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not true():  # noqa: ASYNC110 - the others go on meanwhile
            await asyncio.sleep(0.02)


async def ask(database: Database, command: ActivatePepper | RetirePepper) -> None:
    async with Door(database.app_url) as door:
        await door.execute(command)


async def left_under(database: Database, number: int) -> Left:
    async with await open_pool(database.app_url, size=1) as pool:
        return (await left(pool, ())).get(number, Left())


async def lacking(database: Database, number: int) -> list[bool]:
    async with await open_pool(database.app_url, size=1) as pool:
        return [number not in peppers for peppers in await announced(pool)]


async def once(fleet: Fleet) -> str:
    """Send the same request under the same Idempotency-Key as before."""
    async with fleet.anyone() as process:
        admin = Caller(process, f"Bearer {fleet.token}")
        answer = await admin.patch("/v1/tokens/self", {"description": "once"}, Idempotency_Key=KEY)
    assert answer.status == 200, answer.body
    return answer.headers["ETag"] + answer.body.decode()


@pytest.mark.soak
async def test_a_pepper_rotates_under_load_and_no_request_is_lost(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database.app_url, PEPPERS=OLD)
    token = (await founded(settings, "rolling", tmp_path))["admin_token"]
    fleet, over = Fleet(database, token), asyncio.Event()
    for _ in range(3):
        await fleet.start(OLD)
    fleet.verifier = (await Caller(fleet.up[0], f"Bearer {token}").issue(scopes=["tokens.introspect"]))["secret"]
    first = await once(fleet)
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(fleet.live(over))
        await fleet.more(20)
        await fleet.roll(BOTH)
        assert await lacking(database, 2) == [False] * 3
        await fleet.more(20)
        assert await left_under(database, 2) == Left(), "what is introduced only does not sign"
        await ask(database, ActivatePepper(account=NIL, id=PEPPER_SET, by=SYSTEM, number=2))
        await asyncio.sleep(SYNC_SECONDS)
        await fleet.verify_all()
        async with asyncio.timeout(60):
            while (await left_under(database, 1)).alone:  # noqa: ASYNC110 - each second what was used is kept again
                await asyncio.sleep(0.2)
        await ask(database, RetirePepper(account=NIL, id=PEPPER_SET, by=SYSTEM, number=1, left=0, force=True))
        await fleet.more(40)
        assert await once(fleet) == first, "a key of today is remembered, whichever pepper it was before"
        await fleet.roll(NEW)
        await fleet.more(40)
        await fleet.verify_all()
        assert await once(fleet) == first
        over.set()
    for process in list(fleet.up):
        await fleet.stop(process)
