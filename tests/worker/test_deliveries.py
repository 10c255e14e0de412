"""Deliveries: each event once, signed, in spite of receivers that fail and workers that die."""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg
import pytest
import uuid_utils.compat as uuids
from aiohttp import web
from msgspec.structs import replace

from counterfoil.core.principal import Owner
from counterfoil.core.refusals import Misconfigured, NotFound, SubscriptionInactive
from counterfoil.core.secret import mint
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.subscription import Subscription
from counterfoil.core.subjects.subscription_events import (
    SUBSCRIBABLE,
    CreateSubscription,
    Filter,
    PauseSubscription,
    Redeliver,
    RemoveSubscription,
    ResumeSubscription,
    RotateWebhookSecret,
    SendTest,
    UpdateSubscription,
)
from counterfoil.core.subjects.token.commands import ConfirmRotation, Renew, Resume, Revoke, Rotate, Suspend, Sweep
from counterfoil.core.subjects.token.state import Token
from counterfoil.door import Door
from counterfoil.postgres import subscriptions as subscriptions_module
from counterfoil.postgres.connection import Connection, Pool, open_pool
from counterfoil.postgres.deliveries import (
    Delivery,
    DeliveryCounts,
    deliveries_of,
    delivery_counts,
    end_orphans,
    forget,
    give_up,
)
from counterfoil.postgres.delivery_queue import TURN
from counterfoil.postgres.rotation_uses import add
from counterfoil.settings import Settings
from counterfoil.uses import egress as egress_module
from counterfoil.uses.notifications import NOTIFICATIONS
from counterfoil.uses.webhook_secrets import WebhookSecrets
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from counterfoil_worker.deliver import Deliveries
from counterfoil_worker.followers import Followers
from counterfoil_worker.sweep import Sweeper
from postgres.sealing import seal_all, sealed_beside
from readmes import TOP, Readme
from worker.token_lifetimes import ACCOUNT, PEPPERS, ROOT, born, hired, lived_longer
from worker.webhook_receiver import Receiver, drip, hang, receiver, status
from worker.workers import WorkerProcess, running

README = TOP / "services/api/counterfoil_api/native/subscriptions/README.md"
KEY = b"key" * 10 + b"ke"
SECRETS = WebhookSecrets(KEY)


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    async with Door(database.app_url) as door:
        await hired(door)
        yield door


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with await open_pool(database.app_url, size=8) as pool:
        yield pool


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


class World:
    """The door, a follower and a sender, with the receivers that the operator allows."""

    def __init__(self, database: Database, door: Door, pool: Pool, owner: Connection, *hooks: Receiver) -> None:
        self.database, self.door, self.pool, self.owner = database, door, pool, owner
        environment = {
            "DATABASE_URL": database.app_url, "REDIS_URL": "redis://127.0.0.1/0",
            "KEY_ENCRYPTION_KEY": "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=",
            "EGRESS_ALLOWED": ",".join(hook.url for hook in hooks),
        }  # fmt: skip
        self.settings = Settings.from_environment(environment, command="worker")

    def worker(self, valkey: Valkey, log: Path) -> AbstractContextManager[WorkerProcess]:
        """A worker process that may call the receivers."""
        return running(self.database.app_url, valkey.url, log, EGRESS_ALLOWED=",".join(self.settings.egress_allowed))

    async def subscribe(self, hook: Receiver, *events: str, **fields: Any) -> Subscription:
        subscription, ordered = uuids.uuid7(), fields.pop("ordered", False)
        plain, secret = SECRETS.new(ACCOUNT, subscription)
        command = CreateSubscription(
            account=ACCOUNT, id=subscription, by=ROOT, name="hook", url=f"{hook.url}/hook", secret=secret, most=20,
            filter=Filter(events=events or SUBSCRIBABLE, **fields), ordered=ordered,
        )  # fmt: skip
        made = (await self.door.execute(command)).of(Subscription)
        hook.secrets = [plain]
        return made

    async def tell(self, command: type[Command], subscription: Subscription, **fields: Any) -> None:
        await self.door.execute(command(account=ACCOUNT, id=subscription.id, by=ROOT, **fields))

    async def follow(self) -> None:
        """Seal what happened, and make deliveries of it."""
        await seal_all(self.database.app_url)
        await Followers(self.pool, [NOTIFICATIONS]).work()

    async def send(self) -> int:
        return await Deliveries(self.pool, self.door, self.settings).work()

    async def deliver(self) -> int:
        await self.follow()
        return await self.send()

    async def hurry(self) -> None:
        """Let all waiting times be over."""
        await self.owner.execute("update delivery set next_attempt_at = clock_timestamp() where status = 'pending'")
        await self.owner.execute(
            """
            update subscription
               set due_at = clock_timestamp(), rests_until = '-infinity', leased_until = '-infinity'"""
        )

    async def deliveries(self, subscription: Subscription) -> list[Delivery]:
        found = await deliveries_of(self.pool, ACCOUNT, subscription.id, status=None, before=None, limit=1_000)
        return found[::-1]

    async def statuses(self, subscription: Subscription) -> list[tuple[str, str]]:
        return [(each.type, each.status) for each in await self.deliveries(subscription)]

    async def announce(self, token: Token) -> None:
        """Let the sweep announce a token's expiry."""
        await lived_longer(self.database.owner_url, token)
        await self.door.execute(Sweep(account=ACCOUNT, id=token.id, by=ROOT))


@pytest.fixture
def world(database: Database, door: Door, pool: Pool, owner: Connection, hook: Receiver) -> World:
    return World(database, door, pool, owner, hook)


async def test_events_are_sent_signed_once_with_ids_and_without_secrets(world: World, hook: Receiver) -> None:
    await born(world.door, ends_in=3_600)  # before the subscription: not sent
    subscription = await world.subscribe(hook)
    token = await born(world.door, ends_in=60, thresholds=(120,))
    await world.announce(token)
    assert await world.deliver() == 2
    created, expiring = sorted(hook.received, key=lambda each: each.document["id"])
    assert created.document["type"] == "counterfoil.token.created"
    assert expiring.document == {
        "specversion": "1.0", "id": f"{token.id}.2", "source": f"urn:counterfoil:account:{ACCOUNT}",
        "type": "counterfoil.token.expiring", "subject": str(token.id), "time": expiring.document["time"],
        "datacontenttype": "application/json",
        "data": {
            "account": str(ACCOUNT), "subscription": {"id": str(subscription.id), "name": "hook"},
            "by": {"kind": "user", "id": str(ROOT.actor.id)}, "threshold": "2m", "threshold_seconds": 120,
            "expires_at": expiring.document["data"]["expires_at"], "suspended": False,
            "token": {
                "id": str(token.id), "number": token.number, "name": "soon", "status": "active",
                "owner": {"type": "service", "id": "billing"}, "expires_at": expiring.document["data"]["expires_at"],
            },
        },
    }  # fmt: skip
    assert [created.id, expiring.id] == [str(each.delivery_id) for each in await world.deliveries(subscription)]
    assert await world.statuses(subscription) == [("created", "delivered"), ("expiring", "delivered")]
    assert (await world.deliveries(subscription))[0].excerpt == "thanks"
    assert await world.deliver() == 0
    assert len(hook.received) == 2


async def test_the_receiver_in_the_readme_verifies_a_message(world: World, hook: Receiver) -> None:
    (example,) = [block for block in Readme(README).blocks("python") if "Webhook(SECRET)" in block]
    await world.subscribe(hook, "created")
    room: dict[str, Any] = {}
    exec(example, room)
    (room["SECRET"],) = hook.secrets
    bodies: list[tuple[dict[str, str], bytes]] = []

    async def keep(request: web.Request) -> web.StreamResponse:
        bodies.append((dict(request.headers), await request.read()))
        return web.Response()

    hook.replies = [keep]
    await born(world.door, ends_in=3_600)
    await world.deliver()
    headers, body = bodies[0]
    seen: set[str] = set()
    named = {name.lower(): value for name, value in headers.items()}
    assert [room["receive"](named, body, seen) for _ in range(2)] == ["counterfoil.token.created: soon", "seen before"]


async def test_a_subscription_gets_only_what_its_filter_wants(world: World, hook: Receiver) -> None:
    wanted = await born(world.door, ends_in=60, thresholds=(120, 90), owner=Owner("service", "shop"))
    other = await born(world.door, ends_in=60, thresholds=(120,))
    await world.subscribe(hook, "expiring", "suspended", owner=Owner("service", "shop"), name="s?on", threshold=100)
    for token in (wanted, other):
        await world.announce(token)
        await world.door.execute(Suspend(account=ACCOUNT, id=token.id, by=ROOT, reason="leak"))
        await world.door.execute(Resume(account=ACCOUNT, id=token.id, by=ROOT))
    await world.deliver()
    assert {each.document["subject"] for each in hook.received} == {str(wanted.id)}
    assert sorted(hook.types) == ["counterfoil.token.expiring", "counterfoil.token.suspended"]


async def test_a_subscription_is_as_it_was_before_the_event_however_late_the_follower_is(
    world: World, hook: Receiver
) -> None:
    early = await born(world.door, ends_in=3_600)
    subscription = await world.subscribe(hook, "created")
    first = await born(world.door, ends_in=3_600)
    await world.tell(UpdateSubscription, subscription, events=("revoked",))
    await born(world.door, ends_in=3_600)
    await world.door.execute(Revoke(account=ACCOUNT, id=early.id, by=ROOT, reason="r"))
    await world.follow()
    assert [(each.type, each.subject_id) for each in await world.deliveries(subscription)] == [
        ("created", first.id), ("revoked", early.id),
    ]  # fmt: skip


async def test_a_token_is_as_it_was_right_after_the_event(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created", "rotated", name="soon")
    token = await born(world.door, ends_in=3_600)
    await world.door.execute(Rotate(account=ACCOUNT, id=token.id, by=ROOT, secret=PEPPERS.minted(mint("service"))))
    await world.owner.execute("update token set name = 'later' where token_id = $1", token.id)
    await world.owner.execute("update token set version = version + 1 where token_id = $1", token.id)
    await world.follow()
    rows = await world.owner.fetch("select generation from delivery order by position")
    assert [row["generation"] for row in rows] == [1, 2]
    assert len(await world.deliveries(subscription)) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Revoke(account=ACCOUNT, id=UUID(int=0), by=ROOT, reason="lost"), "revoked"),
        (Renew(account=ACCOUNT, id=UUID(int=0), by=ROOT, lifetime="90d"), "renewed"),
        (
            Rotate(account=ACCOUNT, id=UUID(int=0), by=ROOT, secret=PEPPERS.minted(mint("service"))),
            "rotated",
        ),
    ],
)
async def test_a_token_that_changed_since_is_not_announced_as_expiring(
    world: World, hook: Receiver, change: Any, reason: str
) -> None:
    subscription = await world.subscribe(hook, "expiring")
    token = await born(world.door, ends_in=60, thresholds=(120,))
    await world.announce(token)
    await world.follow()
    await world.door.execute(replace(change, id=token.id))
    await world.send()
    (delivery,) = await world.deliveries(subscription)
    assert (delivery.status, delivery.reason, hook.received) == ("cancelled", reason, [])


async def test_a_notice_that_a_grace_ends_is_cancelled_once_the_rotation_is_confirmed(
    world: World, hook: Receiver
) -> None:
    subscription = await world.subscribe(hook, "grace_ending")
    tokens = [await born(world.door, ends_in=86_400) for _ in range(2)]
    for token in tokens:
        secret = PEPPERS.minted(mint("service"))
        await world.door.execute(Rotate(account=ACCOUNT, id=token.id, by=ROOT, secret=secret, grace_seconds=60))
        await add(world.pool, [(ACCOUNT, token.id, 2, 1, "203.0.113.0/24", 3, datetime.now(UTC))])
    await world.owner.execute("update token set grace_start = grace_start - interval '1 day' where generation = 2")
    assert await Sweeper(world.pool, world.door, grace_notice_seconds=3_600).work() == 2
    await world.follow()
    await world.door.execute(ConfirmRotation(account=ACCOUNT, id=tokens[0].id, by=ROOT, even_if_unused=True))
    await world.send()
    confirmed, behind = sorted(await world.deliveries(subscription), key=lambda each: each.status)
    assert (confirmed.status, confirmed.reason, behind.status) == ("cancelled", "confirmed or extended", "delivered")
    (sent,) = hook.received
    assert (sent.document["type"], sent.document["data"]["uses"]) == ("counterfoil.token.grace_ending", 3)


async def test_a_notice_of_a_suspended_token_says_so(world: World, hook: Receiver) -> None:
    await world.subscribe(hook, "expiring")
    token = await born(world.door, ends_in=60, thresholds=(120,))
    await world.announce(token)
    await world.follow()
    await world.door.execute(Suspend(account=ACCOUNT, id=token.id, by=ROOT, reason="leak"))
    await world.send()
    data = hook.received[0].document["data"]
    assert (data["suspended"], data["token"]["status"]) == (True, "suspended")


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


async def test_a_paused_subscription_sends_after_the_pause(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    await world.tell(PauseSubscription, subscription)
    await born(world.door, ends_in=3_600)
    assert await world.deliver() == 0
    assert await world.statuses(subscription) == [("created", "pending")]
    await world.tell(ResumeSubscription, subscription)
    assert await world.deliver() == 1


async def test_a_removed_subscription_sends_nothing_and_its_secrets_are_deleted(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    await born(world.door, ends_in=3_600)
    await world.follow()
    await born(world.door, ends_in=3_600)
    await world.tell(RemoveSubscription, subscription)
    assert await world.deliver() == 0
    assert await world.statuses(subscription) == [("created", "cancelled")] * 2
    assert await world.owner.fetchval("select count(*) from subscription") == 0
    with pytest.raises(NotFound):
        await world.tell(PauseSubscription, subscription)


async def test_a_test_message_takes_the_way_of_all_events(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "revoked")
    await world.tell(SendTest, subscription)
    await world.deliver()
    assert hook.types == ["counterfoil.subscription.tested"]
    assert await world.statuses(subscription) == [("test", "delivered")]


async def test_during_an_overlap_both_secrets_verify(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    (first,) = hook.secrets
    second, stored = SECRETS.new(ACCOUNT, subscription.id)
    await world.tell(RotateWebhookSecret, subscription, secret=stored, overlap_seconds=600)
    hook.secrets = [first, second]
    await born(world.door, ends_in=3_600)
    await world.deliver()
    assert len(hook.received) == 1
    await world.owner.execute("update subscription set previous_until = clock_timestamp()")
    await born(world.door, ends_in=3_600)
    await world.deliver()
    assert len(hook.received) == 1  # the first secret alone no longer verifies
    hook.secrets = [second]
    await world.hurry()
    await world.send()
    assert len(hook.received) == 2


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
            await _until(hook, 1)
            worker.kill()
        await world.hurry()  # the lease is over
        with world.worker(valkey, tmp_path / "next") as worker:
            await _until(hook, 2)
            async with asyncio.timeout(20):
                while await world.statuses(subscription) != [("created", "delivered")]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert worker.stop() == 0
    assert len(hook.ids) == 2
    assert len(set(hook.ids)) == 1


async def _until(hook: Receiver, count: int) -> None:
    async with asyncio.timeout(30):
        while len(hook.received) < count:  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.02)


async def test_a_webhook_secret_is_stored_encrypted_and_logged_nowhere(
    world: World, hook: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    subscription = await world.subscribe(hook, "created")
    await born(world.door, ends_in=3_600)
    await world.deliver()
    (plain,) = hook.secrets
    raw = base64.b64decode(plain.removeprefix("whsec_"))
    stored = await world.owner.fetchval("select secret from subscription")
    assert SECRETS.opened(ACCOUNT, subscription.id, stored) == plain
    for table in ("subscription", "subject", "event", "delivery", "sealed"):
        rows = await world.owner.fetch(f"select t::text as row from {table} t")
        assert not any(plain in row["row"] or raw.hex() in row["row"] for row in rows)
    assert plain not in "".join(capsys.readouterr())
    with pytest.raises(Misconfigured):  # a secret is bound to its subscription
        SECRETS.opened(ACCOUNT, UUID(int=1), stored)


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
                await _until(hook, len(hook.received) + 10)
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


async def test_old_deliveries_are_forgotten(world: World, hook: Receiver) -> None:
    subscription = await world.subscribe(hook, "created")
    for _ in range(2):
        await born(world.door, ends_in=3_600)
    await world.deliver()
    await world.owner.execute(
        """
        update delivery
           set ended_at = ended_at - interval '31 days'
         where position = (select min(position) from delivery)"""
    )
    assert await forget(world.pool) == 1
    assert len(await world.deliveries(subscription)) == 1
