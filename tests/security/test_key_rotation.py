"""H31, H32. Three API processes while keys rotate: signed bearers verify, and none by a removed key."""

import asyncio
import random
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import msgspec
import pytest
from aiohttp import ClientSession
from joserfc import jwt
from joserfc.jwk import KeySet

from api.service import Caller, basic, founded, settings_for
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.subjects.signing_key_events import ActivateKey, PublishKey, RemoveKey
from counterfoil.core.subjects.signing_keys import PUBLISHED_SECONDS, RING, SKEW_SECONDS, Ring
from counterfoil.core.subjects.subject import Command
from counterfoil.door import Door
from counterfoil.uses.key_encryption import Sealing
from counterfoil_dev.postgres import Database
from security.processes import ISSUER, several

SEALING = Sealing(b"k" * 32)
CACHED_SECONDS = 1.0
"""So long the strangers of these tests keep the key set, in place of five minutes."""
LIVES_SECONDS = 4


@dataclass(slots=True)
class Ground:
    """One account at each process, with its online and offline verifiers."""

    database: Database
    processes: Sequence[ClientSession]
    token: str
    verifier: str
    bearers: list[tuple[str, float]] = field(default_factory=list)
    kids: set[str] = field(default_factory=set)
    verified: int = 0
    _keys: tuple[KeySet, float] | None = None

    def at(self, process: ClientSession, credentials: str) -> Caller:
        return Caller(process, credentials)

    async def buy(self, process: ClientSession) -> str:
        answer = await Caller(process, basic("", self.token)).post("/v1/exchange")
        assert answer.status == 200, answer.body
        bearer: str = answer.json["access_token"]
        return bearer

    async def active(self, process: ClientSession, bearer: str) -> bool:
        return bool((await Caller(process, self.verifier).form("/v1/introspect", token=bearer)).json["active"])

    async def published(self, process: ClientSession) -> KeySet:
        answer = await Caller(process, "").get("/.well-known/jwks.json")
        return KeySet.import_key_set(answer.json)

    async def offline(self, bearer: str) -> None:
        """Verify with a standard library and a key set up to CACHED_SECONDS old; an unknown key is a failure."""
        if self._keys is None or monotonic() - self._keys[1] > CACHED_SECONDS:
            self._keys = await self.published(random.choice(self.processes)), monotonic()
        assert jwt.decode(bearer, self._keys[0], algorithms=["ES256"]).claims["iss"] == ISSUER

    async def ask(self, command: type[Command], **fields: Any) -> Ring:
        async with Door(self.database.app_url) as door:
            state = (await door.execute(command(account=NIL, id=RING, by=SYSTEM, **fields))).state
        assert isinstance(state, Ring)
        return state

    async def pass_seconds(self, seconds: float) -> None:
        """Move all times of the keys this far into the past."""
        owner = await asyncpg.connect(self.database.owner_url)
        details = msgspec.json.decode(await owner.fetchval("select details from subject where kind = 'signing_keys'"))
        for key in details["keys"]:
            for name in ("published_at", "activated_at", "retired_at"):
                if key[name] is not None:
                    key[name] = (datetime.fromisoformat(key[name]) - timedelta(seconds=seconds)).isoformat()
        await owner.execute(
            "update subject set details = $1 where kind = 'signing_keys'", msgspec.json.encode(details).decode()
        )
        await owner.close()


@asynccontextmanager
async def grounds(database: Database, directory: Path, count: int = 3, **more: str) -> AsyncIterator[Ground]:
    credentials = await founded(settings_for(database.app_url), "rotating", directory)
    async with AsyncExitStack() as stack, several(database, count, GUESS_LIMIT="none", **more) as urls:
        processes = [await stack.enter_async_context(ClientSession(url)) for url in urls]
        admin = Caller(processes[0], f"Bearer {credentials['admin_token']}")
        verifier = await admin.holder("tokens.introspect")
        yield Ground(database, processes, credentials["admin_token"], verifier.credentials)


def kid_of(bearer: str) -> str:
    head = bearer.partition(".")[0]
    return str(msgspec.json.decode(urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


async def live(ground: Ground, over: asyncio.Event) -> None:
    """Exchange for bearers anywhere and verify them everywhere, new ones and nearly expired ones."""
    while not over.is_set():
        bearer = await ground.buy(random.choice(ground.processes))
        ground.kids.add(kid_of(bearer))
        ground.bearers.append(
            (bearer, monotonic() + LIVES_SECONDS - 2.0)
        )  # times have whole seconds, and requests take time
        ground.bearers = [each for each in ground.bearers if each[1] > monotonic()]
        for each in (bearer, random.choice(ground.bearers)[0] if ground.bearers else bearer):
            assert await ground.active(random.choice(ground.processes), each)
            await ground.offline(each)
            ground.verified += 2
        await asyncio.sleep(0.05)  # more frequent attempts would only load the machine


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - a process hears of it when it does
            await asyncio.sleep(0.05)


@pytest.mark.soak
async def test_every_bearer_verifies_while_keys_rotate(database: Database, tmp_path: Path) -> None:
    async with grounds(database, tmp_path, BEARER_LIFETIME=f"{LIVES_SECONDS}s") as ground:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(live(ground, over))
            await until(lambda: ground.verified > 20)
            (old,) = ground.kids
            new = SEALING.new_key()
            await ground.ask(PublishKey, new_key=new)
            await asyncio.sleep(CACHED_SECONDS + 1.5)  # every cached key set contains the new key by now
            assert ground.kids == {old}, "what is published only does not sign"
            await ground.pass_seconds(PUBLISHED_SECONDS)
            await ground.ask(ActivateKey, kid=new.kid)
            await until(lambda: new.kid in ground.kids)
            ground.kids.clear()
            await asyncio.sleep(
                LIVES_SECONDS + 5
            )  # the last bearer of the old key has expired, and every process knows
            assert ground.kids <= {old, new.kid}
            ground.kids.clear()
            before = ground.verified
            await until(lambda: ground.verified > before + 20)
            assert ground.kids == {new.kid}
            await ground.pass_seconds(LIVES_SECONDS + SKEW_SECONDS)
            ring = await ground.ask(RemoveKey, kid=old)
            assert [key.status for key in ring.keys] == ["removed", "active"]
            before = ground.verified
            await until(lambda: ground.verified > before + 40)
            over.set()


async def test_after_an_emergency_removal_every_process_refuses_at_once(database: Database, tmp_path: Path) -> None:
    async with grounds(database, tmp_path) as ground:
        for _ in range(2):  # the second time with a key that itself came in an emergency
            bearers = [await ground.buy(process) for process in ground.processes for _ in range(3)]
            (kid,) = {kid_of(bearer) for bearer in bearers}
            assert all(await asyncio.gather(*(ground.active(process, bearers[0]) for process in ground.processes)))
            ring = await ground.ask(RemoveKey, kid=kid, reason="a backup was stolen", successor=SEALING.new_key())
            answers = await asyncio.gather(
                *(ground.active(process, bearer) for process in ground.processes for bearer in bearers),
                *(called(process, bearer) for process in ground.processes for bearer in bearers),
            )
            assert not any(answers), "from the reply on, no process believes what the key signed"
            fresh = ring.first("active")
            assert fresh is not None
            await asyncio.gather(*(renewed(ground, process, fresh.kid) for process in ground.processes))
            for process in ground.processes:
                assert {key.kid for key in (await ground.published(process)).keys} == {fresh.kid}


async def called(process: ClientSession, bearer: str) -> bool:
    return (await Caller(process, f"Bearer {bearer}").get("/v1/tokens")).status == 200


async def renewed(ground: Ground, process: ClientSession, kid: str) -> None:
    """Exchange until the new key signs here; from then on every other process accepts it."""
    async with asyncio.timeout(30):
        while kid_of(bearer := await ground.buy(process)) != kid:
            assert not await ground.active(process, bearer)
        assert all(await asyncio.gather(*(ground.active(each, bearer) for each in ground.processes)))


@pytest.mark.soak
async def test_a_started_rotation_continues_automatically(database: Database, tmp_path: Path) -> None:
    async with grounds(database, tmp_path, count=1) as ground:
        await ground.ask(PublishKey, new_key=SEALING.new_key())
        await ground.pass_seconds(PUBLISHED_SECONDS)
    async with several(database, 3), Door(database.app_url) as door:
        owner = await asyncpg.connect(database.owner_url)

        async def types() -> list[str]:
            rows = await owner.fetch("select type from event where kind = 'signing_keys' order by version")
            return [row["type"] for row in rows]

        async with asyncio.timeout(30):
            while "activated" not in await types():  # noqa: ASYNC110 - a process does it when it does
                await asyncio.sleep(0.05)
        await asyncio.sleep(2.5)  # all three processes tried
        assert await types() == ["created", "bearer_lifetime_extended", "published", "retired", "activated"]
        assert door.queued == 0
        assert await owner.fetchval("select count(*) from private_key") == 1, "what signs no more needs no private part"
        await owner.close()


async def test_every_step_of_a_key_is_an_event_without_a_private_part(database: Database, tmp_path: Path) -> None:
    async with grounds(database, tmp_path, count=1) as ground:
        waiting, successor = SEALING.new_key(), SEALING.new_key()
        ring = await ground.ask(PublishKey, new_key=waiting)
        await ground.ask(RemoveKey, kid=waiting.kid, reason="not needed")
        await ground.ask(RemoveKey, kid=ring.keys[0].kid, reason="copied", successor=successor)
        owner = await asyncpg.connect(database.owner_url)
        rows = await owner.fetch("select type, entry, private from event where kind = 'signing_keys' order by version")
        assert [row["type"] for row in rows][2:] == ["published", "removed", "removed", "published", "activated"]
        text = " ".join(row["entry"] for row in rows)
        for key in (waiting, successor):
            private = SEALING.opened(key.kid, key.encrypted_private_key).private_numbers().private_value
            assert f"{private:x}" not in text
            assert '"d"' not in text
        assert "copied" not in text, "a reason is private"
        await owner.close()
