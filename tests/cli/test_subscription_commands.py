"""`counterfoil subscription`: create, show, change, test, redeliver and remove."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from cli.shell import Shell
from client.running import Service, environment_of, running
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.settings import Settings
from counterfoil.uses.notifications import NOTIFICATIONS
from counterfoil_dev.postgres import Database
from counterfoil_worker.deliver import Deliveries
from counterfoil_worker.followers import Followers
from postgres.sealing import sealed_beside
from worker.webhook_receiver import Receiver, receiver, status


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


@pytest.fixture
async def service(database: Database, tmp_path: Path, hook: Receiver) -> AsyncIterator[Service]:
    async with running(database, tmp_path, EGRESS_ALLOWED=hook.url) as ready:
        yield ready


@pytest.fixture
async def worker(database: Database, hook: Receiver) -> AsyncIterator[None]:
    """A sealer and a worker."""
    settings = Settings.from_environment({**environment_of(database), "EGRESS_ALLOWED": hook.url}, command="worker")

    async def work() -> None:
        async with await open_pool(database.app_url, size=4) as pool, Door(database.app_url) as door:
            followers, deliveries = Followers(pool, [NOTIFICATIONS]), Deliveries(pool, door, settings)
            while True:
                await followers.work()
                await deliveries.work()
                await asyncio.sleep(0.05)

    async with sealed_beside(database.app_url):
        working = asyncio.create_task(work())
        yield
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def created(shell: Shell, hook: Receiver) -> str:
    result = await shell(
        "subscription", "create", "on call", "--url", f"{hook.url}/hook", "--event", "created", "--json"
    )
    assert result.code == 0, result.err
    made = json.loads(result.out)
    hook.secrets = [made["secret"]]
    return str(made["subscription"]["id"])


async def test_a_subscription_is_created_shown_changed_and_removed(shell: Shell, hook: Receiver) -> None:
    result = await shell(
        *("subscription", "create", "on call", "--url", hook.url, "--event", "expiring", "--event", "revoked"),
        *("--owner", "service:ci", "--token-name", "ci-*", "--scope", "a.b", "--threshold", "7d", "--ordered"),
    )
    assert result.code == 0, result.err
    assert "whsec_" in result.out
    assert "owner service:ci, name ci-*, scope a.b, threshold 7d" in result.out
    assert "not shown again" in result.err
    listed = [json.loads(line) for line in (await shell("subscription", "list", "--json")).out.splitlines()]
    ref = listed[0]["id"]
    assert "revoked expiring" not in (await shell("subscription", "list")).out
    changed = await shell(
        *("subscription", "update", ref, "--name", "night", "--owner", "none", "--threshold", "none", "--unordered")
    )
    assert all(word in changed.out for word in ("night", "name ci-*, scope a.b"))
    assert (await shell("subscription", "update", ref, "--owner", "nobody")).code == 2
    shown = json.loads((await shell("subscription", "show", ref, "--json")).out)
    assert (shown["owner"], shown["ordered"], shown["events"]) == (None, False, ["expiring", "revoked"])
    assert "paused" in (await shell("subscription", "pause", ref)).out
    assert "active" in (await shell("subscription", "resume", ref)).out
    rotated = await shell("subscription", "rotate-secret", ref, "--overlap", "1h")
    assert ("whsec_" in rotated.out, "old secret until" in rotated.out) == (True, True)
    refused = await shell("subscription", "rotate-secret", ref)
    assert (refused.code, "still good" in refused.err) == (1, True)
    assert (await shell("subscription", "rotate-secret", ref, "--end-previous", "--json")).code == 0
    assert "removed" in (await shell("subscription", "remove", ref)).out
    assert (await shell("subscription", "show", ref)).code == 1
    assert (await shell("subscription", "show", "x")).code == 2


@pytest.mark.usefixtures("worker")
async def test_a_test_says_what_the_receiver_answered(shell: Shell, hook: Receiver) -> None:
    ref = await created(shell, hook)
    result = await shell("subscription", "test", ref)
    assert (result.code, "delivered" in result.out, "thanks" in result.out) == (0, True, True), result.err
    hook.replies = [status(500, "broken")]
    result = await shell("subscription", "test", ref)
    assert (result.code, "500" in result.out, "broken" in result.out) == (1, True, True)
    assert "did not accept" in result.err


@pytest.mark.usefixtures("worker")
async def test_deliveries_are_listed_and_sent_again(shell: Shell, hook: Receiver) -> None:
    ref = await created(shell, hook)
    assert (await shell("token", "create", "a token")).code == 0
    async with asyncio.timeout(20):
        while not hook.received:  # noqa: ASYNC110 - the worker's work
            await asyncio.sleep(0.05)
    result = await shell("subscription", "deliveries", ref, "--json")
    (delivery,) = [json.loads(line) for line in result.out.splitlines()]
    assert (delivery["id"], delivery["type"]) == (hook.ids[0], "created")
    assert "created" in (await shell("subscription", "deliveries", ref)).out
    assert (await shell("subscription", "redeliver", ref, delivery["id"])).code == 0
    async with asyncio.timeout(20):
        while len(hook.received) < 2:  # noqa: ASYNC110 - the worker's work
            await asyncio.sleep(0.05)
    assert hook.ids[0] == hook.ids[1]
    assert (await shell("subscription", "redeliver", ref)).code == 0
    assert (await shell("subscription", "deliveries", ref, "--status", "dead")).code == 0
