"""The documents in the ledger's responses, by short names.

A field that a response lacks is UNSET, which is false.
"""

from __future__ import annotations

from typing import Any

import msgspec

from counterfoil.documents.account import AccountDocument as Account
from counterfoil.documents.account import PolicyDocument as Policy
from counterfoil.documents.attempts import AttemptDocument as Attempt
from counterfoil.documents.bearers import BearerDocument as Bearer
from counterfoil.documents.bulk_revocations import BulkRevocationDocument as BulkRevocation
from counterfoil.documents.bulk_revocations import OwnerPlanned
from counterfoil.documents.bulk_revocations import PlanDocument as Plan
from counterfoil.documents.dialects import DialectDocument as Dialect
from counterfoil.documents.events import AccountEventDocument as AccountEvent
from counterfoil.documents.events import ActorDocument as Actor
from counterfoil.documents.events import EventDocument as Happening
from counterfoil.documents.events import SubjectDocument as Subject
from counterfoil.documents.forecasts import CliffDocument as Cliff
from counterfoil.documents.forecasts import ForecastDay, Move, NotMoved
from counterfoil.documents.forecasts import ForecastDocument as Forecast
from counterfoil.documents.forecasts import SpreadDocument as SpreadPlan
from counterfoil.documents.imports import Imported, ImportReport
from counterfoil.documents.owner_quotas import QuotaDocument as OwnerQuota
from counterfoil.documents.owners import OwnerDocument as Owner
from counterfoil.documents.reads import LogRangeDocument as LogRange
from counterfoil.documents.reads import ReadDocument as Reading
from counterfoil.documents.rotations import NetworkDocument as NetworkUse
from counterfoil.documents.rotations import PreviousSecretDocument as PreviousSecret
from counterfoil.documents.rotations import RotationDocument as Rotation
from counterfoil.documents.scope_catalogue import ScopeDocument as Scope
from counterfoil.documents.scope_catalogue import SetDocument as ScopeSet
from counterfoil.documents.subscriptions import DeliveryDocument as Delivery
from counterfoil.documents.subscriptions import SubscriptionDocument as Subscription
from counterfoil.documents.subscriptions import SubscriptionWithSecret
from counterfoil.documents.tokens import AlertDocument as Alert
from counterfoil.documents.tokens import ChildrenDocument as Children
from counterfoil.documents.tokens import Issued, TokenPlanned
from counterfoil.documents.tokens import TokenDocument as Token
from counterfoil.documents.users import Enrolled, Enrolment, LoggedIn, UserWithPassword
from counterfoil.documents.users import UserDocument as User

__all__ = [
    "Account",
    "AccountEvent",
    "Actor",
    "Alert",
    "Attempt",
    "Bearer",
    "BulkRevocation",
    "Children",
    "Cliff",
    "Delivery",
    "Dialect",
    "Enrolled",
    "Enrolment",
    "Forecast",
    "ForecastDay",
    "Happening",
    "ImportReport",
    "Imported",
    "Introspection",
    "Issued",
    "LogRange",
    "LoggedIn",
    "Move",
    "NetworkUse",
    "NotMoved",
    "Owner",
    "OwnerPlanned",
    "OwnerQuota",
    "Plan",
    "Policy",
    "PreviousSecret",
    "Reading",
    "Rotation",
    "Scope",
    "ScopeSet",
    "SpreadPlan",
    "Subject",
    "Subscription",
    "SubscriptionWithSecret",
    "Token",
    "TokenPlanned",
    "User",
    "UserWithPassword",
]


class Introspection(msgspec.Struct, frozen=True):
    """Whether a secret or bearer is accepted (RFC 7662), and all other fields of the reply."""

    active: bool
    facts: dict[str, Any]
