"""The calls about subscriptions and their deliveries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import Delivery, Subscription, SubscriptionWithSecret
from counterfoil.documents.subscriptions import Sent

_SUBSCRIPTIONS: Final = "/v1/subscriptions"
NONE: Final = "none"
"""Removes a condition in a change."""
Owner = tuple[str, str]


class Subscriptions(Calls):
    """Have events of tokens sent to webhooks."""

    async def create_subscription(
        self,
        name: str,
        *,
        url: str,
        events: Sequence[str],
        owner: Owner | None = None,
        token_name: str | None = None,
        scope: str | None = None,
        threshold: str | None = None,
        ordered: bool = False,
        idempotency_key: str | None = None,
    ) -> SubscriptionWithSecret:
        """Send events to a URL; the secret that verifies them is in this reply alone."""
        body = spelling.body(
            name=name, url=url, events=events, owner=spelling.owner(owner), token_name=token_name, scope=scope,
            threshold=threshold, ordered=ordered,
        )  # fmt: skip
        return await self.changed(SubscriptionWithSecret, _SUBSCRIPTIONS, body, key=idempotency_key)

    async def subscription(self, subscription: UUID | str) -> Subscription:
        """Return a subscription."""
        return await self.fetched(Subscription, _path(subscription))

    def subscriptions(self, *, limit: int | None = None) -> AsyncIterator[Subscription]:
        """Yield the subscriptions of the account, the oldest first."""
        return self.pages(_SUBSCRIPTIONS, {}, Subscription, limit=limit)

    async def update_subscription(
        self,
        subscription: UUID | str,
        *,
        name: str | None = None,
        url: str | None = None,
        events: Sequence[str] | None = None,
        owner: Owner | str | None = None,
        token_name: str | None = None,
        scope: str | None = None,
        threshold: str | None = None,
        ordered: bool | None = None,
        if_match: int | None = None,
    ) -> Subscription:
        """Change a subscription; None keeps a field, and the word none removes a condition."""
        body = spelling.body(
            name=name, url=url, events=events or None,
            owner=spelling.limit(owner) if isinstance(owner, str) else spelling.owner(owner),
            token_name=spelling.limit(token_name), scope=spelling.limit(scope), threshold=spelling.limit(threshold),
            ordered=ordered,
        )  # fmt: skip
        return await self.changed(Subscription, _path(subscription), body, method="PATCH", if_match=if_match)

    async def remove_subscription(self, subscription: UUID | str, *, if_match: int | None = None) -> Subscription:
        """Remove a subscription; what is not received yet is cancelled."""
        return await self.changed(Subscription, _path(subscription), b"", method="DELETE", if_match=if_match)

    async def rotate_webhook_secret(
        self,
        subscription: UUID | str,
        *,
        overlap: str | None = None,
        ends_previous: bool = False,
        idempotency_key: str | None = None,
    ) -> SubscriptionWithSecret:
        """Give a subscription a new secret; messages are signed with both for the overlap (24h if not stated)."""
        body = spelling.body(overlap=overlap, ends_previous=ends_previous or None)
        path = _path(subscription, "rotate-secret")
        return await self.changed(SubscriptionWithSecret, path, body, key=idempotency_key)

    async def pause_subscription(self, subscription: UUID | str) -> Subscription:
        """Send nothing for now; what happens meanwhile is sent after the pause."""
        return await self.changed(Subscription, _path(subscription, "pause"), spelling.body())

    async def resume_subscription(self, subscription: UUID | str) -> Subscription:
        """Send again, after a pause or after it was disabled."""
        return await self.changed(Subscription, _path(subscription, "resume"), spelling.body())

    async def send_test(self, subscription: UUID | str) -> UUID:
        """Send a test message; return its delivery, which is there within about a second."""
        return (await self.changed(Sent, _path(subscription, "test"), spelling.body())).delivery

    def deliveries(
        self, subscription: UUID | str, *, status: str | None = None, limit: int | None = None
    ) -> AsyncIterator[Delivery]:
        """Yield the deliveries of a subscription, the latest events first."""
        query = spelling.query_of(status=status)
        return self.pages(_path(subscription, "deliveries"), query, Delivery, limit=limit)

    async def delivery(self, subscription: UUID | str, delivery: UUID | str) -> Delivery:
        """Return a delivery."""
        return await self.fetched(Delivery, _path(subscription, f"deliveries/{_id(delivery)}"))

    async def redeliver(self, subscription: UUID | str, delivery: UUID | str | None = None) -> Subscription:
        """Send a delivery again, or all dead ones, under the same webhook-id each."""
        verb = "redeliver" if delivery is None else f"deliveries/{_id(delivery)}/redeliver"
        return await self.changed(Subscription, _path(subscription, verb), spelling.body())


def _path(subscription: UUID | str, verb: str = "") -> str:
    return f"{_SUBSCRIPTIONS}/{_id(subscription)}" + (f"/{verb}" if verb else "")


def _id(ref: UUID | str) -> UUID:
    try:
        return UUID(str(ref))
    except ValueError:
        example = "01a20070-9783-75f2-ab79-af3b16925535"
        raise ValueError(f"{str(ref)!r} is no id; write it like {example}") from None
