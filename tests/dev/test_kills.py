"""kill -9 again and again while services write: nothing acknowledged is lost, and no repair is needed."""

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

import pytest

from counterfoil.client import Client, OutcomeUnknown, Unavailable, Unreachable
from counterfoil.client.documents import Issued
from counterfoil_dev.running import Service, running_service

KILLS = 32
WRITERS = 6
VICTIMS = ("postgres", "api", "worker", "valkey", "sealer")
T = TypeVar("T")


@dataclass
class Life:
    """The acknowledged state of one token."""

    secret: str
    generation: int = 1
    revoked: bool = False


@dataclass
class Ledger:
    """The acknowledged calls of all writers, and when to stop."""

    lives: dict[str, Life] = field(default_factory=dict)
    given: Counter[str] = field(default_factory=Counter)
    over: bool = False


async def insist(call: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    """Repeat a call unchanged until it is answered."""
    while True:
        try:
            return await call(*args, **kwargs)
        except (OutcomeUnknown, Unavailable, Unreachable):
            await asyncio.sleep(0.1)


async def write(service: Service, ledger: Ledger, number: int) -> None:
    """Create, rotate and exchange tokens, and revoke every other one."""
    dice = random.Random(number)
    async with Client(service.url, service.credentials["admin_token"]) as client:
        while not ledger.over:
            wish = {"scopes": ["tokens.read"], "lifetime": "1d", "idempotency_key": token_hex(16)}
            made: Issued = await insist(client.create, "worn", **wish)
            ref, life = made.token.id, Life(made.secret)
            ledger.lives[str(ref)] = life
            ledger.given["created"] += 1
            for _ in range(dice.randrange(3)):
                made = await insist(client.rotate, ref, grace="0s", idempotency_key=token_hex(16))
                life.secret, life.generation = made.secret, made.token.generation
                ledger.given["rotated"] += 1
            async with Client(service.url, life.secret) as itself:
                await insist(itself.exchange)
                ledger.given["exchanged"] += 1
            if dice.random() < 0.5:
                await insist(client.revoke, ref, reason="worn out")
                life.revoked = True
                ledger.given["revoked"] += 1


async def kill(service: Service, ledger: Ledger) -> None:
    dice = random.Random(1)
    left = [*VICTIMS] * (KILLS // len(VICTIMS))
    while left:
        await asyncio.sleep(dice.uniform(0.3, 2.0))
        try:
            service.kill(left[-1])
        except ProcessLookupError:
            continue  # still dead from the last kill
        left.pop()
    await asyncio.sleep(2)
    ledger.over = True


async def judge(service: Service, ledger: Ledger) -> None:
    """Compare the ledger with the acknowledged calls."""
    async with Client(
        service.url, service.credentials["admin_token"], timeout_seconds=60, refused_seconds=60
    ) as client:
        for ref, life in ledger.lives.items():
            token = await client.get(ref)
            assert (token.generation, token.status) == (life.generation, "revoked" if life.revoked else "active")
            assert (await client.introspect(life.secret)).active is not life.revoked
            counted = Counter([happening.type async for happening in client.token_events(ref)])
            assert (counted["created"], counted["rotated"]) == (1, life.generation - 1)


def audit(service: Service) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("counterfoil")
    script = f'set -a; . "{service.root}/service.env"; exec "{program}" audit replay --json'
    return subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.soak
async def test_kill_9_of_everything_under_load_loses_nothing_and_needs_no_repair(place: Path) -> None:
    with running_service(place) as service:
        ledger = Ledger()
        await asyncio.gather(kill(service, ledger), *(write(service, ledger, each) for each in range(WRITERS)))
        assert min(ledger.given[kind] for kind in ("created", "rotated", "exchanged", "revoked")) >= WRITERS
        await judge(service, ledger)
        audited = await asyncio.to_thread(audit, service)
        assert audited.returncode == 0, audited.stdout + audited.stderr
        summary = json.loads(audited.stdout.splitlines()[-1])["summary"]
        assert summary["findings"] == 0
        assert summary["events"] >= sum(ledger.given.values())
