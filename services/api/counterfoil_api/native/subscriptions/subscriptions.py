"""Subscriptions: create, list, read, change, pause and remove them, and rotate their secrets."""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import UNSET, UnsetType
from uuid_utils.compat import uuid7

from counterfoil.core.duration import seconds
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import UnknownUser
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.subscription import Subscription
from counterfoil.core.subjects.subscription_events import (
    CreateSubscription,
    Filter,
    PauseSubscription,
    RemoveSubscription,
    ResumeSubscription,
    RotateWebhookSecret,
    UpdateSubscription,
)
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.owners import OwnerGiven
from counterfoil.documents.subscriptions import (
    NewSubscription,
    SecretRotation,
    SubscriptionChanges,
    SubscriptionDocument,
    SubscriptionPage,
    SubscriptionWithSecret,
)
from counterfoil.documents.token_changes import Resumption
from counterfoil.postgres.subscriptions import subscriptions_of
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller, need
from counterfoil_api.handling.reading import PageQuery, Reading
from counterfoil_api.handling.webhooks import Webhooks
from counterfoil_api.handling.writing import Writing
from counterfoil_api.native.subscriptions.references import SubscriptionRef, permitted
from counterfoil_api.native.subscriptions.showing import subscription_document
from counterfoil_api.native.users.references import named_owner
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey, IfMatch, Query
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.replies import Made, Tagged
from counterfoil_api.operations.retries import Retry

api = Api("subscriptions", OURS)

READ: Final = "subscriptions.read"
UPDATE: Final = "subscriptions.update"
_EXAMPLE: Final = NewSubscription(
    name="on call", url="https://hooks.example.org/counterfoil", events=("expiring", "expired"), threshold="7d"
)


@api.post(
    "/v1/subscriptions",
    executes=(CreateSubscription,),
    scope=UPDATE,
    refusals=SECRET_REPLY,
    example=_EXAMPLE,
)
async def create_subscription(
    writing: Writing, webhooks: Webhooks, caller: Caller, *, body: Body[NewSubscription], key: IdempotencyKey
) -> Made[SubscriptionWithSecret]:
    """Send events of the account's tokens to a URL, from now on.

    Messages are CloudEvents 1.0, signed by Standard Webhooks with the secret that only this answer contains. An event
    is sent at least once: a repeated message has the same `webhook-id`. The URL must not be of an internal host, unless
    the operator allows it.
    """
    need(caller, UPDATE)
    await webhooks.refuse_target(body.url)
    subscription = uuid7()
    secret, encrypted = webhooks.secrets.new(caller.account, subscription)
    wanted = Filter(
        events=body.events, owner=await _owner(writing.reading, caller, body.owner), name=body.token_name,
        scope=body.scope, threshold=_seconds(body.threshold),
    )  # fmt: skip
    command = CreateSubscription(
        account=caller.account, id=subscription, by=caller, name=body.name, url=body.url, filter=wanted,
        ordered=body.ordered, secret=encrypted, most=webhooks.most,
    )  # fmt: skip
    made = await _with_secret(writing, command, key, secret)
    found = made.subscription
    return Made(made, found.revision, f"/v1/subscriptions/{found.id}")


@api.get("/v1/subscriptions", scope=READ)
async def list_subscriptions(reading: Reading, caller: Caller, *, query: Query[PageQuery]) -> SubscriptionPage:
    """List the subscriptions of the account."""
    need(caller, READ)
    after = reading.after(caller, "subscriptions", query.cursor, tuple[datetime, UUID])
    found = await subscriptions_of(reading.pool, caller.account, after=after, limit=query.limit + 1)
    page, more = reading.page(
        caller, "subscriptions", found, limit=query.limit, place=lambda each: [each.created_at, each.id]
    )
    return SubscriptionPage(items=[subscription_document(each) for each in page], next_cursor=more)


@api.get("/v1/subscriptions/{subscription}", scope=READ)
async def get_subscription(
    reading: Reading, caller: Caller, *, subscription: SubscriptionRef
) -> Tagged[SubscriptionDocument]:
    """Read a subscription."""
    found = await permitted(reading, caller, subscription, scope=READ)
    return Tagged(subscription_document(found), found.revision)


@api.patch(
    "/v1/subscriptions/{subscription}",
    executes=(UpdateSubscription,),
    scope=UPDATE,
    example=SubscriptionChanges(events=("expiring", "revoked")),
)
async def update_subscription(
    writing: Writing,
    webhooks: Webhooks,
    caller: Caller,
    *,
    subscription: SubscriptionRef,
    body: Body[SubscriptionChanges],
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Tagged[SubscriptionDocument]:
    """Change what is sent, or where.

    Other conditions count for events from now on; another URL also for what is not received yet.
    """
    found = await permitted(writing.reading, caller, subscription, scope=UPDATE)
    if body.url is not UNSET:
        await webhooks.refuse_target(body.url)
    command = UpdateSubscription(
        account=caller.account, id=found.id, by=caller, revisions=if_match, name=body.name, url=body.url,
        events=body.events, owner=await _changed_owner(writing.reading, caller, body.owner),
        token_name=body.token_name, scope=body.scope, ordered=body.ordered,
        threshold=UNSET if body.threshold is UNSET else _seconds(body.threshold),
    )  # fmt: skip
    return await _changed(writing, command, key)


@api.delete("/v1/subscriptions/{subscription}", executes=(RemoveSubscription,), scope=UPDATE)
async def remove_subscription(
    writing: Writing, caller: Caller, *, subscription: SubscriptionRef, if_match: IfMatch, key: IdempotencyKey
) -> Tagged[SubscriptionDocument]:
    """Remove a subscription; what is not received yet is cancelled, and its secrets are deleted."""
    need(caller, UPDATE)
    if key is not None and (earlier := await writing.recall(caller, key, kind=SubscriptionDocument)) is not None:
        return Tagged(earlier, earlier.revision)
    found = await permitted(writing.reading, caller, subscription, scope=UPDATE)
    command = RemoveSubscription(account=caller.account, id=found.id, by=caller, revisions=if_match)
    return await _changed(writing, command, key)


@api.post(
    "/v1/subscriptions/{subscription}/rotate-secret",
    executes=(RotateWebhookSecret,),
    scope=UPDATE,
    refusals=SECRET_REPLY,
    example=SecretRotation(overlap="24h"),
)
async def rotate_webhook_secret(
    writing: Writing,
    webhooks: Webhooks,
    caller: Caller,
    *,
    subscription: SubscriptionRef,
    body: Body[SecretRotation],
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Tagged[SubscriptionWithSecret]:
    """Give a subscription a new secret, which only this answer contains.

    During the overlap every message is signed with both secrets, so a receiver with either of them accepts it.
    """
    found = await permitted(writing.reading, caller, subscription, scope=UPDATE)
    secret, encrypted = webhooks.secrets.new(caller.account, found.id)
    command = RotateWebhookSecret(
        account=caller.account, id=found.id, by=caller, revisions=if_match, secret=encrypted,
        overlap_seconds=seconds(body.overlap, field="overlap"), ends_previous=body.ends_previous,
    )  # fmt: skip
    made = await _with_secret(writing, command, key, secret)
    return Tagged(made, made.subscription.revision)


@api.post("/v1/subscriptions/{subscription}/pause", executes=(PauseSubscription,), scope=UPDATE)
async def pause_subscription(
    writing: Writing,
    caller: Caller,
    *,
    subscription: SubscriptionRef,
    _: Body[Resumption],
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Tagged[SubscriptionDocument]:
    """Send nothing for now; what happens meanwhile is sent after the pause."""
    found = await permitted(writing.reading, caller, subscription, scope=UPDATE)
    command = PauseSubscription(account=caller.account, id=found.id, by=caller, revisions=if_match)
    return await _changed(writing, command, key)


@api.post("/v1/subscriptions/{subscription}/resume", executes=(ResumeSubscription,), scope=UPDATE)
async def resume_subscription(
    writing: Writing,
    caller: Caller,
    *,
    subscription: SubscriptionRef,
    _: Body[Resumption],
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Tagged[SubscriptionDocument]:
    """Send again, after a pause or after the subscription was disabled.

    What happened while it was disabled is not sent.
    """
    found = await permitted(writing.reading, caller, subscription, scope=UPDATE)
    command = ResumeSubscription(account=caller.account, id=found.id, by=caller, revisions=if_match)
    return await _changed(writing, command, key)


async def _with_secret(writing: Writing, command: Command, key: Retry | None, secret: str) -> SubscriptionWithSecret:
    def render(outcome: Outcome) -> SubscriptionWithSecret:
        return SubscriptionWithSecret(subscription=subscription_document(outcome.of(Subscription)), secret=secret)

    return await writing.reply(command, key, render, kind=SubscriptionWithSecret, holds_secret=True)


async def _changed(writing: Writing, command: Command, key: Retry | None) -> Tagged[SubscriptionDocument]:
    def render(outcome: Outcome) -> SubscriptionDocument:
        return subscription_document(outcome.of(Subscription))

    document = await writing.reply(command, key, render, kind=SubscriptionDocument, holds_secret=False)
    return Tagged(document, document.revision)


async def _owner(reading: Reading, caller: Principal, given: OwnerGiven | None) -> Owner | None:
    if given is None:
        return None
    owner = await named_owner(reading, caller, given)
    if owner is None:
        raise UnknownUser(field="owner.id")
    return owner


async def _changed_owner(
    reading: Reading, caller: Principal, given: OwnerGiven | UnsetType | None
) -> Owner | UnsetType | None:
    return UNSET if given is UNSET else await _owner(reading, caller, given)


def _seconds(threshold: str | None) -> int | None:
    return None if threshold is None else seconds(threshold, field="threshold")
