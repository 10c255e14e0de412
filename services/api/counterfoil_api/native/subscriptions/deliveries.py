"""Deliveries of a subscription: list and read them, send them again, and send a test message."""

from typing import Any, Literal
from uuid import UUID

from counterfoil.core.subjects.subscription import Subscription
from counterfoil.core.subjects.subscription_events import Redeliver, SendTest
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.subscriptions import DeliveryDocument, DeliveryPage, Sent, SubscriptionDocument
from counterfoil.documents.token_changes import Resumption
from counterfoil.postgres.deliveries import deliveries_of
from counterfoil.uses.notifications import delivery_id
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.reading import PageQuery, Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.native.subscriptions.references import DeliveryRef, SubscriptionRef, found_delivery, permitted
from counterfoil_api.native.subscriptions.showing import delivery_document, subscription_document
from counterfoil_api.native.subscriptions.subscriptions import READ, UPDATE
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey, Query
from counterfoil_api.operations.replies import Accepted

api = Api("subscriptions", OURS)


class DeliveryQuery(PageQuery, frozen=True, kw_only=True):
    """A page of deliveries, or of those in one status."""

    status: Literal["pending", "delivered", "dead", "cancelled"] | None = None


@api.get("/v1/subscriptions/{subscription}/deliveries", scope=READ)
async def list_deliveries(
    reading: Reading, caller: Caller, *, subscription: SubscriptionRef, query: Query[DeliveryQuery]
) -> DeliveryPage:
    """List what was sent and what will be, the latest events first; what has ended is kept for 30 days."""
    found = await permitted(reading, caller, subscription, scope=READ)
    question: list[Any] = ["deliveries", found.id, query.status]
    before = reading.after(caller, question, query.cursor, tuple[int, UUID])
    rows = await deliveries_of(
        reading.pool, caller.account, found.id, status=query.status, before=before, limit=query.limit + 1
    )
    page, more = reading.page(
        caller, question, rows, limit=query.limit, place=lambda each: [each.position, each.delivery_id]
    )
    return DeliveryPage(items=[delivery_document(each) for each in page], next_cursor=more)


@api.get("/v1/subscriptions/{subscription}/deliveries/{delivery}", scope=READ)
async def get_delivery(
    reading: Reading, caller: Caller, *, subscription: SubscriptionRef, delivery: DeliveryRef
) -> DeliveryDocument:
    """Read a delivery."""
    found = await permitted(reading, caller, subscription, scope=READ)
    return delivery_document(await found_delivery(reading, found, delivery))


@api.post("/v1/subscriptions/{subscription}/deliveries/{delivery}/redeliver", executes=(Redeliver,), scope=UPDATE)
async def redeliver(
    writing: Writing,
    caller: Caller,
    *,
    subscription: SubscriptionRef,
    delivery: DeliveryRef,
    _: Body[Resumption],
    key: IdempotencyKey,
) -> Accepted[SubscriptionDocument]:
    """Send a delivery again, in whatever status it is, under the same `webhook-id`."""
    found = await permitted(writing.reading, caller, subscription, scope=UPDATE)
    again = await found_delivery(writing.reading, found, delivery)
    command = Redeliver(account=caller.account, id=found.id, by=caller, delivery=again.delivery_id)
    return Accepted(await writing.reply(command, key, _subscription, kind=SubscriptionDocument, holds_secret=False))


@api.post("/v1/subscriptions/{subscription}/redeliver", executes=(Redeliver,), scope=UPDATE)
async def redeliver_all(
    writing: Writing, caller: Caller, *, subscription: SubscriptionRef, _: Body[Resumption], key: IdempotencyKey
) -> Accepted[SubscriptionDocument]:
    """Send all dead deliveries again, under the same `webhook-id` each."""
    found = await permitted(writing.reading, caller, subscription, scope=UPDATE)
    command = Redeliver(account=caller.account, id=found.id, by=caller)
    return Accepted(await writing.reply(command, key, _subscription, kind=SubscriptionDocument, holds_secret=False))


@api.post("/v1/subscriptions/{subscription}/test", executes=(SendTest,), scope=UPDATE)
async def send_test(
    writing: Writing, caller: Caller, *, subscription: SubscriptionRef, _: Body[Resumption], key: IdempotencyKey
) -> Accepted[Sent]:
    """Send a test message, as events are sent; read its delivery to see what the receiver answered."""
    found = await permitted(writing.reading, caller, subscription, scope=UPDATE)
    command = SendTest(account=caller.account, id=found.id, by=caller)
    return Accepted(await writing.reply(command, key, _sent, kind=Sent, holds_secret=False))


def _subscription(outcome: Outcome) -> SubscriptionDocument:
    return subscription_document(outcome.of(Subscription))


def _sent(outcome: Outcome) -> Sent:
    state = outcome.of(Subscription)
    return Sent(delivery=delivery_id(state.id, state.id, state.version))
