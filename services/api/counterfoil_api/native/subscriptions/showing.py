"""Documents of subscriptions and deliveries."""

from counterfoil.core.duration import spelt
from counterfoil.core.subjects.subscription import Subscription
from counterfoil.documents.owners import OwnerDocument
from counterfoil.documents.subscriptions import DeliveryDocument, SubscriptionDocument
from counterfoil.postgres.deliveries import Delivery
from counterfoil_api.handling.actors import bare


def subscription_document(subscription: Subscription) -> SubscriptionDocument:
    """Return the document of a subscription."""
    wanted = subscription.filter
    return SubscriptionDocument(
        id=subscription.id,
        name=subscription.name,
        url=subscription.url,
        events=wanted.events,
        owner=None if wanted.owner is None else OwnerDocument(wanted.owner.type, wanted.owner.id),
        token_name=wanted.name,
        scope=wanted.scope,
        threshold=None if wanted.threshold is None else spelt(wanted.threshold),
        ordered=subscription.ordered,
        status=subscription.status,
        disabled_because=subscription.disabled_because,
        previous_secret_until=subscription.previous_until,
        created_at=subscription.created_at,
        created_by=bare(subscription.creator),
        updated_at=subscription.updated_at,
        revision=subscription.revision,
    )


def delivery_document(delivery: Delivery) -> DeliveryDocument:
    """Return the document of a delivery."""
    return DeliveryDocument(
        id=delivery.delivery_id,
        subscription=delivery.subscription_id,
        subject=delivery.subject_id,
        version=delivery.version,
        type=delivery.type,
        status=delivery.status,
        reason=delivery.reason,
        attempts=delivery.attempts,
        created_at=delivery.created_at,
        next_attempt_at=delivery.next_attempt_at if delivery.status == "pending" else None,
        attempted_at=delivery.attempted_at,
        ended_at=delivery.ended_at,
        response_status=delivery.response_status,
        excerpt=delivery.excerpt,
    )
