"""Deliveries: what is sent to whom, signed, in which state of subscription and token."""

import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from msgspec.structs import replace

from counterfoil.core.principal import Owner
from counterfoil.core.refusals import Misconfigured, NotFound
from counterfoil.core.secret import mint
from counterfoil.core.subjects.subscription_events import (
    PauseSubscription,
    RemoveSubscription,
    ResumeSubscription,
    RotateWebhookSecret,
    SendTest,
    UpdateSubscription,
)
from counterfoil.core.subjects.token.commands import ConfirmRotation, Renew, Resume, Revoke, Rotate, Suspend
from counterfoil.postgres.deliveries import (
    forget,
)
from counterfoil.postgres.rotation_uses import add
from counterfoil_worker.sweep import Sweeper
from readmes import TOP, Readme
from worker.token_lifetimes import ACCOUNT, PEPPERS, ROOT, born
from worker.webhook_receiver import Receiver
from worker.webhook_world import SECRETS, World

README = TOP / "services/api/counterfoil_api/native/subscriptions/README.md"


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
