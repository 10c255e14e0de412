"""Attempts to deliver: each event arrives, in spite of receivers that fail and workers that die."""

import asyncio
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest
from aiohttp import web
from msgspec.structs import replace

from api.egress import Names
from counterfoil.core.refusals import SubscriptionInactive
from counterfoil.core.subjects.subscription_events import (
    PauseSubscription,
    Redeliver,
    RemoveSubscription,
    ResumeSubscription,
    SendTest,
    UpdateSubscription,
)
from counterfoil.door import Door
from counterfoil.postgres import subscriptions as subscriptions_module
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.deliveries import (
    DeliveryCounts,
    delivery_counts,
    end_orphans,
    give_up,
)
from counterfoil.postgres.delivery_queue import TURN
from counterfoil.uses import egress as egress_module
from counterfoil.uses.egress import Egress
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from counterfoil_worker.deliver import Deliveries
from postgres.sealing import sealed_beside
from worker.token_lifetimes import born
from worker.webhook_receiver import Receiver, drip, hang, receiver, status
from worker.webhook_world import World, received


async def test_a_failed_delivery_is_repeated_under_the_same_id(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    hook.replies = [status(500, "no\x00pe"), status(302, Location="http://169.254.169.254/latest/"), status(200)]
    await born(world.door, ends_in=3_600)
    await world.deliver()
    (failed,) = await world.deliveries(subscription)
    assert (failed.status, failed.attempts, failed.response_status) == ("pending", 1, 500)
    assert (failed.excerpt, failed.reason) == ("nope", "The receiver answered with the HTTP status 500.")
    assert failed.attempted_at is not None
    assert 7 <= (failed.next_attempt_at - failed.attempted_at).total_seconds() <= 14
    assert await world.send() == 0  # it waits
    for _ in range(2):
        await world.hurry()
        await world.send()
    (delivered,) = await world.deliveries(subscription)
    assert (delivered.status, delivered.attempts, delivered.reason) == ("delivered", 3, None)
    assert len(set(hook.ids)) == 1
    assert hook.paths == ["/hook"] * 3  # no redirect was followed


async def test_retry_after_is_honoured(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    hook.replies = [status(503, Retry_After="3600")]
    await born(world.door, ends_in=3_600)
    await world.deliver()
    (failed,) = await world.deliveries(subscription)
    assert failed.attempted_at is not None
    assert (failed.next_attempt_at - failed.attempted_at).total_seconds() >= 3_600
    await born(world.door, ends_in=3_600)
    assert await world.deliver() == 0  # nor is a new event sent before


async def test_after_the_last_attempt_a_delivery_is_dead_and_can_be_sent_again(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    hook.replies = [status(500)]
    await born(world.door, ends_in=3_600)
    await world.follow()
    await world.owner.execute("update delivery set attempts = 11")
    await world.send()
    assert await world.statuses(subscription) == [("created", "dead")]
    await world.owner.execute("update delivery set attempts = 0, status = 'pending', ended_at = null, reason = null")
    await world.owner.execute("update delivery set created_at = created_at - interval '4 days'")
    await world.hurry()
    await world.send()
    assert await world.statuses(subscription) == [("created", "dead")]
    hook.replies = []
    await world.tell(Redeliver, subscription)
    assert await world.send() == 1
    assert await world.statuses(subscription) == [("created", "delivered")]
    (delivery,) = await world.deliveries(subscription)
    await world.tell(Redeliver, subscription, delivery=delivery.delivery_id)
    assert await world.send() == 1
    assert len(set(hook.ids)) == 1


async def test_a_receiver_that_is_gone_disables_the_subscription(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created", ordered=True)
    hook.replies = [status(410)]
    for _ in range(3):
        await born(world.door, ends_in=3_600)
    await world.deliver()
    assert await world.statuses(subscription) == [("created", "dead")] + [("created", "cancelled")] * 2
    await born(world.door, ends_in=3_600)
    await world.deliver()
    assert len(hook.received) == 1
    assert len(await world.deliveries(subscription)) == 3
    with pytest.raises(SubscriptionInactive):
        await world.tell(SendTest, subscription)
    hook.replies = []
    await world.tell(ResumeSubscription, subscription)
    await born(world.door, ends_in=3_600)
    await world.deliver()
    assert (await world.statuses(subscription))[-1] == ("created", "delivered")


async def test_hostile_receivers_are_bounded(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    for reply in (status(200, "x" * 5_000_000), drip):
        hook.replies = [reply]
        await born(world.door, ends_in=3_600)
        await world.deliver()
    assert await world.statuses(subscription) == [("created", "delivered")] * 2
    found = await world.deliveries(subscription)
    assert found[0].excerpt == "x" * 200
    hook.replies = [hang]
    await born(world.door, ends_in=3_600)
    with patch.object(egress_module, "WEBHOOK_SECONDS", 0.5):
        await world.deliver()
    last = (await world.deliveries(subscription))[-1]
    assert (last.status, last.reason) == ("pending", "The receiver did not answer in time.")


async def test_an_address_that_is_not_allowed_is_not_called(
    database: Database, door: Door, pool: Pool, owner: Connection, hook: Receiver
) -> None:
    closed = World(database, door, pool, owner)
    subscription = await closed.subscribe(hook, "created")
    await born(door, ends_in=3_600)
    await closed.deliver()
    (failed,) = await closed.deliveries(subscription)
    assert (failed.reason, hook.received) == ("The URL resolves to an address that may not be called.", [])


async def test_a_name_is_resolved_anew_for_each_message_and_never_to_a_forbidden_address(
    world: World, hook: Receiver
) -> None:
    port = hook.url.rpartition(":")[2]
    rebinding = Names({"hooks.test": [["127.0.0.1"], ["169.254.169.254"]]})
    settings = replace(world.settings, egress_allowed=(f"http://hooks.test:{port}",))
    subscription = await world.subscribe(hook, "created", ordered=True)
    await world.tell(UpdateSubscription, subscription, url=f"http://hooks.test:{port}/hook")
    for _ in range(2):
        await born(world.door, ends_in=3_600)
    await world.follow()
    await Deliveries(world.pool, world.door, settings, egress=Egress(settings, resolve=rebinding)).work()
    first, second = await world.deliveries(subscription)
    assert (first.status, second.status, len(hook.received)) == ("delivered", "pending", 1)
    assert second.reason == "The URL resolves to an address that may not be called."
    assert rebinding.requested == ["hooks.test"] * 2


async def test_a_slow_receiver_delays_no_other_one(
    database: Database, door: Door, pool: Pool, owner: Connection, hook: Receiver
) -> None:
    async with receiver() as slow:
        world = World(database, door, pool, owner, hook, slow)
        await world.subscribe(slow, "created")
        await world.subscribe(hook, "created")
        slow.replies = [hang]
        for _ in range(20):
            await born(world.door, ends_in=3_600)
        await world.follow()
        sending = asyncio.create_task(world.send())
        async with asyncio.timeout(9):  # sooner than the slow one is given up
            while len(hook.received) < 20:  # noqa: ASYNC110 - the work of a task
                await asyncio.sleep(0.02)
        assert not sending.done()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_an_ordered_subscription_sends_one_event_after_the_other(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created", ordered=True)
    hook.replies = [status(200), status(500), status(200)]
    tokens = [await born(world.door, ends_in=3_600) for _ in range(5)]
    await world.deliver()
    assert await world.statuses(subscription) == [("created", "delivered")] + [("created", "pending")] * 4
    await world.hurry()
    await world.send()
    subjects = [each.document["subject"] for each in hook.received]
    assert subjects == [str(tokens[n].id) for n in (0, 1, 1, 2, 3, 4)]


async def test_many_workers_send_each_event_once(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    await asyncio.gather(*(born(world.door, ends_in=3_600) for _ in range(60)))
    await world.follow()
    while {each.status for each in await world.deliveries(subscription)} != {"delivered"}:
        await asyncio.gather(*(world.send() for _ in range(4)))
    assert len(hook.ids) == len(set(hook.ids)) == 60


async def test_a_worker_killed_after_sending_repeats_under_the_same_id(
    world: World, hook: Receiver, valkey: Valkey, tmp_path: Path
) -> None:
    subscription = await world.subscribe(hook, "created")
    hook.replies = [hang, status(200)]
    async with sealed_beside(world.database.app_url):
        await born(world.door, ends_in=3_600)
        with world.worker(valkey, tmp_path / "killed") as worker:
            await received(hook, 1)
            worker.kill()
        await world.hurry()  # the lease is over
        with world.worker(valkey, tmp_path / "next") as worker:
            await received(hook, 2)
            async with asyncio.timeout(20):
                while await world.statuses(subscription) != [("created", "delivered")]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert worker.stop() == 0
    assert len(hook.ids) == 2
    assert len(set(hook.ids)) == 1


async def test_a_worker_with_another_key_sends_nothing_and_goes_on(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    await born(world.door, ends_in=3_600)
    await world.follow()
    wrong = Deliveries(world.pool, world.door, replace(world.settings, key_encryption_key=b"w" * 32))
    assert await wrong.work() == 0
    await world.hurry()
    assert await world.send() == 1
    assert await world.statuses(subscription) == [("created", "delivered")]


async def test_the_metrics_count_what_waits_fails_and_died(world: World, hook: Receiver) -> None:
    assert await delivery_counts(world.pool) == DeliveryCounts(pending=0, dead=0, overdue_seconds=0.0, failing=0)
    await world.subscribe(hook, "created")
    hook.replies = [status(500)]
    for _ in range(2):
        await born(world.door, ends_in=3_600)
    await world.deliver()
    found = await delivery_counts(world.pool)
    assert (found.pending, found.dead, found.overdue_seconds, found.failing) == (2, 0, 0.0, 1)
    await world.owner.execute("update delivery set attempts = 11")
    await world.hurry()
    await world.owner.execute("update subscription set due_at = clock_timestamp() - interval '1 hour'")
    assert (await delivery_counts(world.pool)).overdue_seconds >= 3_600
    await world.send()
    found = await delivery_counts(world.pool)
    assert (found.pending, found.dead, found.overdue_seconds) == (0, 2, 0.0)


async def test_what_never_has_its_turn_is_given_up_and_what_is_orphaned_is_cancelled(
    world: World, hook: Receiver
) -> None:
    with patch.object(subscriptions_module, "_AT_ONCE", 1):
        paused, removed = await world.subscribe(hook, "created"), await world.subscribe(hook, "created")
        await world.tell(PauseSubscription, paused)
        for _ in range(3):
            await born(world.door, ends_in=3_600)
        await world.follow()
        await world.tell(RemoveSubscription, removed)
    assert sorted(status for _, status in await world.statuses(removed)) == ["cancelled", "pending", "pending"]
    assert (await end_orphans(world.pool), await give_up(world.pool)) == (2, 0)
    assert {status for _, status in await world.statuses(removed)} == {"cancelled"}
    await world.owner.execute("update delivery set created_at = created_at - interval '5 days'")
    assert await give_up(world.pool) == 3
    assert {status for _, status in await world.statuses(paused)} == {"dead"}


async def test_two_workers_killed_again_and_again_send_everything_and_repeat_little(
    world: World, hook: Receiver, valkey: Valkey, tmp_path: Path
) -> None:
    subscription = await world.subscribe(hook, "created")
    kills = 0

    async def slowly(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.02)
        return web.Response()

    hook.replies = [slowly]
    async with sealed_beside(world.database.app_url):
        for turn in range(3):
            await asyncio.gather(*(born(world.door, ends_in=3_600) for _ in range(60)))
            with ExitStack() as stack:
                workers = [stack.enter_context(world.worker(valkey, tmp_path / f"{turn}{name}")) for name in "ab"]
                await received(hook, len(hook.received) + 10)
                for worker in workers:
                    worker.kill()
                kills += len(workers)
            await world.hurry()  # the leases are over
        with world.worker(valkey, tmp_path / "last"):
            async with asyncio.timeout(60):
                while (await world.statuses(subscription)).count(("created", "delivered")) < 180:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
    counts = Counter(hook.ids)
    assert set(counts) == {str(each.delivery_id) for each in await world.deliveries(subscription)}
    assert max(counts.values()) <= 1 + kills
    assert counts.total() - len(counts) <= kills * TURN
