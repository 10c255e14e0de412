"""Sends deliveries: leases subscriptions that have something due, and posts to several of them at once.

A subscription is served in turns. Each turn has a task of its own, so a receiver that is slow delays no other one. A
worker that dies between sending and noting leaves the delivery pending: after the lease it is sent again under the same
webhook-id.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

import structlog
from msgspec.structs import replace

from counterfoil.core import secret, text
from counterfoil.core.principal import SYSTEM
from counterfoil.core.refusals import Misconfigured, NotFound
from counterfoil.core.subjects.subscription_events import DisableSubscription
from counterfoil.core.webhooks import GONE, MOST_ATTEMPTS, delay_seconds, outcome_of, retry_after_seconds
from counterfoil.door import Door
from counterfoil.postgres import delivery_queue as sql
from counterfoil.postgres.connection import LOST, Pool
from counterfoil.postgres.delivery_queue import DueDelivery, Lane, Result
from counterfoil.postgres.schema_changes import OUTDATED
from counterfoil.settings import Settings
from counterfoil.uses.egress import Egress, EgressFailed, Posted
from counterfoil.uses.webhook import cancellation, headers, message
from counterfoil.uses.webhook_secrets import WebhookSecrets
from counterfoil_worker.job import Job, Shifts

log = structlog.get_logger()

LANES: Final = 16
"""Subscriptions that one process serves at once."""
_LOOK_SECONDS: Final = 0.2
_EVERY_SECONDS: Final = 1.0
_LONGEST_REST_SECONDS: Final = 300.0
"""A receiver that is back gets its messages within so long."""
_EXCERPT: Final = 200
_FAILURES: Final = {
    "destination": "The URL resolves to an address that may not be called.",
    "time": "The receiver did not answer in time.",
}
_NO_CONNECTION: Final = "The connection to the receiver failed."


class Deliveries(Shifts):
    """Sends what is due; `work` returns how many attempts it made."""

    name = "deliver"
    seconds = 20.0
    postponing = (*LOST, *OUTDATED)

    def __init__(self, pool: Pool, door: Door, settings: Settings, *, egress: Egress | None = None) -> None:
        super().__init__()
        self._pool = pool
        self._door = door
        self._secrets = WebhookSecrets(settings.key_encryption_key)
        self._egress = egress or Egress(settings)

    async def _round(self, ends: float) -> int:
        """Serve subscriptions side by side until nothing is due; a new one begins as soon as one is done."""
        done, running = 0, set[asyncio.Task[int]]()
        try:
            while True:
                if not self._over(ends) and len(running) < LANES:
                    lanes = await sql.lease(self._pool, limit=LANES - len(running))
                    running |= {asyncio.create_task(self._turn(lane)) for lane in lanes}
                if not running:
                    return done
                ended, running = await asyncio.wait(running, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                done += sum(task.result() for task in ended)
        finally:
            await asyncio.gather(*running, return_exceptions=True)

    async def _turn(self, lane: Lane) -> int:
        """Send what is due of one subscription, and end the lease; return how many attempts were made."""
        try:
            secrets = self._opened(lane)
        except Misconfigured as error:
            why, subscription = error.detail, lane.subscription.id
            log.error("webhook_secret_not_readable", subscription=subscription, why=why)  # noqa: TRY400 - foreseen
            await sql.release(self._pool, lane, failures=lane.failures + 1, rest_seconds=_LONGEST_REST_SECONDS)
            return 0
        due = await sql.take(self._pool, lane)
        results = await self._deliver_all(lane, secrets, due)
        if any(result.response_status == GONE for result in results):
            await self._disable(lane)  # before others can be sent
        failures = _failures_in_a_row(lane, results)
        await sql.release(self._pool, lane, failures=failures, rest_seconds=_rest_seconds(failures, results))
        return len(due)

    def _opened(self, lane: Lane) -> list[str]:
        subscription = lane.subscription
        return [self._secrets.opened(subscription.account, subscription.id, stored) for stored in lane.secrets]

    async def _deliver_all(self, lane: Lane, secrets: Sequence[str], due: Sequence[DueDelivery]) -> list[Result]:
        """Deliver side by side, and all to the end: nothing goes on after a failure of one of them."""
        found = await asyncio.gather(*(self._deliver(lane, secrets, each) for each in due), return_exceptions=True)
        results = []
        for each in found:
            if isinstance(each, BaseException):
                raise each
            results.append(each)
        return results

    async def _deliver(self, lane: Lane, secrets: Sequence[str], delivery: DueDelivery) -> Result:
        if (reason := cancellation(delivery)) is not None:
            result = Result(status="cancelled", reason=reason)
        else:
            result = await self._attempt(lane, secrets, delivery)
        await sql.note(self._pool, lane, delivery, result)
        log.info(
            "delivery_attempted", account=lane.subscription.account, subscription=lane.subscription.id,
            delivery=delivery.id, attempt=delivery.attempts, status=result.status, response=result.response_status,
        )  # fmt: skip
        return result

    async def _attempt(self, lane: Lane, secrets: Sequence[str], delivery: DueDelivery) -> Result:
        body = message(lane.subscription, delivery)
        sent = headers(secrets, delivery, body)
        try:
            posted = await self._egress.post(lane.subscription.url, body, sent)
        except EgressFailed as failure:
            log.info("delivery_failed", delivery=delivery.id, reason=failure.reason, why=str(failure))
            return _failed(delivery, _FAILURES.get(failure.reason, _NO_CONNECTION))
        return _judged(delivery, posted)

    async def _disable(self, lane: Lane) -> None:
        subscription = lane.subscription
        by = replace(SYSTEM, account=subscription.account)
        try:
            await self._door.execute(DisableSubscription(account=subscription.account, id=subscription.id, by=by))
        except NotFound:  # it was removed meanwhile
            return
        log.info("subscription_disabled", account=subscription.account, subscription=subscription.id)


def _judged(delivery: DueDelivery, posted: Posted) -> Result:
    outcome, reply = outcome_of(posted.status), _excerpt(posted.excerpt)
    if outcome == "delivered":
        return Result(status="delivered", response_status=posted.status, excerpt=reply)
    reason = f"The receiver answered with the HTTP status {posted.status}."
    if outcome == "gone":
        return Result(status="dead", reason=reason, response_status=posted.status, excerpt=reply)
    asked = retry_after_seconds(posted.retry_after or "", delivery.at) or 0.0
    result = _failed(delivery, reason, asked_seconds=asked)
    return replace(result, response_status=posted.status, excerpt=reply)


def _failed(delivery: DueDelivery, reason: str, *, asked_seconds: float = 0.0) -> Result:
    if delivery.late or delivery.attempts >= MOST_ATTEMPTS:
        return Result(status="dead", reason=reason, rest_seconds=asked_seconds)
    wait = max(asked_seconds, delay_seconds(delivery.attempts, random.random()))  # noqa: S311 - spreads the load
    return Result(status="pending", reason=reason, wait_seconds=wait, rest_seconds=asked_seconds)


def _failures_in_a_row(lane: Lane, results: Sequence[Result]) -> int:
    """Return how many turns have failed as a whole since something was received."""
    if any(result.status == "delivered" for result in results):
        return 0
    return lane.failures + any(result.status != "cancelled" for result in results)


def _rest_seconds(failures: int, results: Sequence[Result]) -> float:
    """Return how long a subscription rests: as long as its receiver asked, and longer each time that all failed."""
    asked = max((result.rest_seconds for result in results), default=0.0)
    if failures == 0 or all(result.status == "cancelled" for result in results):
        return asked
    return max(asked, min(delay_seconds(failures, 0.5), _LONGEST_REST_SECONDS))


def _excerpt(content: bytes) -> str | None:
    """Return the beginning of a reply as it is shown: printable, and never with a secret of ours."""
    shown = text.escaped(content.decode("utf-8", "replace").replace("\0", ""))[:_EXCERPT]
    return shown if shown and not secret.stands_in(shown) else None


JOB: Final = Job(name="deliver", every_seconds=lambda _: _EVERY_SECONDS, open=Deliveries)
