"""References to subscriptions and deliveries: ids alone."""

from typing import Annotated
from uuid import UUID

from counterfoil.core.credentials import ID, is_id
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadReference, NotFound, Refuses
from counterfoil.core.subjects.subscription import Subscription
from counterfoil.postgres.deliveries import Delivery, delivery_by_id
from counterfoil.postgres.subscriptions import subscription_by_id
from counterfoil_api.auth.principals import need
from counterfoil_api.handling.reading import Reading
from counterfoil_api.operations.reading import path_type

SubscriptionRef = Annotated[
    str,
    path_type("A subscription's id.", f"^{ID.pattern}$", "019ca8c1-7b40-7000-8000-3f2a9c51d7e4"),
    Refuses((NotFound, BadReference)),
]
DeliveryRef = Annotated[
    str,
    path_type("A delivery's id: its webhook-id.", f"^{ID.pattern}$", "6f1e3c52-90d4-8b7a-a2c4-5d0e7f3b1a96"),
    Refuses((NotFound, BadReference)),
]


async def permitted(reading: Reading, caller: Principal, ref: str, *, scope: str) -> Subscription:
    """Return the named subscription, if the caller has the scope."""
    need(caller, scope)
    found = await subscription_by_id(reading.pool, caller.account, _id(ref))
    if found is None:
        raise NotFound
    return found


async def found_delivery(reading: Reading, subscription: Subscription, ref: str) -> Delivery:
    """Return the named delivery of a subscription."""
    found = await delivery_by_id(reading.pool, subscription.account, subscription.id, _id(ref))
    if found is None:
        raise NotFound
    return found


def _id(ref: str) -> UUID:
    if not is_id(ref):
        raise BadReference("Name it by its id, such as 01a20070-9783-75f2-ab79-af3b16925535.")
    return UUID(ref)
