"""The message of a delivery: a CloudEvents 1.0 document in JSON, signed by Standard Webhooks. It holds no secret.

Names and statuses are those of the moment of sending, so that an erased name is in no later message. The ids are the
same in every attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from counterfoil.core.duration import spelt
from counterfoil.core.events import Fact
from counterfoil.core.subjects.subscription import Subscription
from counterfoil.core.subjects.token.events import Expiring, GraceEnding
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.webhooks import signatures
from counterfoil.postgres.delivery_queue import DueDelivery

MEDIA_TYPE: Final = "application/cloudevents+json"


def cancellation(delivery: DueDelivery) -> str | None:
    """Return why a notice of something to come is not sent, since its token has changed; else None."""
    event, token = delivery.fact.event, delivery.token
    if not isinstance(event, Expiring | GraceEnding) or token is None:
        return None
    if token.status == "revoked":
        return "revoked"
    if isinstance(event, Expiring) and token.expires_at != event.expires_at:
        return "renewed"
    if token.generation != delivery.generation:
        return "rotated"
    if isinstance(event, GraceEnding) and token.previous_until != event.previous_until:
        return "confirmed or extended"
    return None


def message(subscription: Subscription, delivery: DueDelivery) -> bytes:
    """Return the body of a delivery."""
    fact = delivery.fact
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{fact.subject.id}.{fact.version}",
        "source": f"urn:counterfoil:account:{fact.account}",
        "type": f"counterfoil.{fact.subject.kind}.{fact.type}",
        "subject": str(fact.subject.id),
        "time": fact.at,
        "datacontenttype": "application/json",
        "data": {"account": fact.account, "subscription": _named(subscription), **_about(fact, delivery.token)},
    }
    return msgspec.json.encode(document)


def headers(secrets: Sequence[str], delivery: DueDelivery, body: bytes) -> Mapping[str, str]:
    """Return the headers of a message, signed with each of the secrets."""
    timestamp = int(delivery.at.timestamp())
    return {
        "Content-Type": MEDIA_TYPE,
        "webhook-id": str(delivery.id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures(secrets, str(delivery.id), timestamp, body),
    }


def _named(subscription: Subscription) -> dict[str, object]:
    return {"id": subscription.id, "name": subscription.name}


def _about(fact: Fact, token: Token | None) -> dict[str, object]:
    if token is None:
        return {"by": fact.by}
    about: dict[str, object] = {"by": fact.by, "token": _token(token)}
    if isinstance(fact.event, Expiring):
        about |= {
            "threshold": spelt(fact.event.threshold), "threshold_seconds": fact.event.threshold,
            "expires_at": fact.event.expires_at, "suspended": token.status == "suspended",
        }  # fmt: skip
    elif isinstance(fact.event, GraceEnding):
        about |= {
            "threshold": spelt(fact.event.threshold), "threshold_seconds": fact.event.threshold,
            "previous_secret_until": fact.event.previous_until, "uses": fact.event.uses,
            "last_used_at": fact.event.last_used_at,
        }  # fmt: skip
    return about


def _token(token: Token) -> dict[str, object]:
    return {
        "id": token.id, "number": token.number, "name": token.name, "owner": token.owner, "status": token.status,
        "expires_at": token.expires_at,
    }  # fmt: skip
