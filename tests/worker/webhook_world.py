"""The whole way of an event to a receiver, step by step: the door, the log, the follower, the sender."""

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import uuid_utils.compat as uuids

from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.subscription import Subscription
from counterfoil.core.subjects.subscription_events import (
    SUBSCRIBABLE,
    CreateSubscription,
    Filter,
)
from counterfoil.core.subjects.token.commands import Sweep
from counterfoil.core.subjects.token.state import Token
from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, Pool
from counterfoil.postgres.deliveries import (
    Delivery,
    deliveries_of,
)
from counterfoil.settings import Settings
from counterfoil.uses.notifications import NOTIFICATIONS
from counterfoil.uses.webhook_secrets import WebhookSecrets
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from counterfoil_worker.deliver import Deliveries
from counterfoil_worker.followers import Followers
from postgres.sealing import seal_all
from worker.token_lifetimes import ACCOUNT, ROOT, lived_longer
from worker.webhook_receiver import Receiver
from worker.workers import WorkerProcess, running

KEY = b"key" * 10 + b"ke"
SECRETS = WebhookSecrets(KEY)


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


async def received(hook: Receiver, count: int) -> None:
    """Wait until the receiver has received so many messages."""
    async with asyncio.timeout(30):
        while len(hook.received) < count:  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.02)
