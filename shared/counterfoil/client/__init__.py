"""The Python client of the ledger, for services and for our own command line.

    async with Client("https://ledger.example", token) as ledger:
        issued = await ledger.create("nightly backup", scopes=["backups.write"], lifetime="90d")
        keep(issued.secret)

A call either happened once or not at all: every change carries one Idempotency-Key, which stays the same
over all tries, so that a connection cut in the middle loses no secret. See `failures` for what may be raised.
"""

from counterfoil.client.client import Client
from counterfoil.client.documents import (
    Account,
    Alert,
    Attempt,
    Bearer,
    BulkRevocation,
    Children,
    Dialect,
    Enrolled,
    Enrolment,
    Happening,
    Imported,
    ImportReport,
    Introspection,
    Issued,
    LoggedIn,
    LogRange,
    OwnerQuota,
    Plan,
    Policy,
    Reading,
    Scope,
    ScopeSet,
    Token,
    User,
    UserWithPassword,
)
from counterfoil.client.events import LogReader
from counterfoil.client.failures import (
    Conflict,
    Denied,
    Failure,
    Forbidden,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Refused,
    SecretNoLongerAvailable,
    StaleRevision,
    Unavailable,
    Unintelligible,
    Unreachable,
)
from counterfoil.client.log import LogEvent, PrivatePart
from counterfoil.client.wire import Password
from counterfoil.core.trust import Trust

__all__ = [
    "Account",
    "Alert",
    "Attempt",
    "Bearer",
    "BulkRevocation",
    "Children",
    "Client",
    "Conflict",
    "Denied",
    "Dialect",
    "Enrolled",
    "Enrolment",
    "Failure",
    "Forbidden",
    "Happening",
    "ImportReport",
    "Imported",
    "Introspection",
    "Invalid",
    "Issued",
    "LogEvent",
    "LogRange",
    "LogReader",
    "LoggedIn",
    "NotFound",
    "OutcomeUnknown",
    "OwnerQuota",
    "Password",
    "Plan",
    "Policy",
    "PrivatePart",
    "Reading",
    "Refused",
    "Scope",
    "ScopeSet",
    "SecretNoLongerAvailable",
    "StaleRevision",
    "Token",
    "Trust",
    "Unavailable",
    "Unintelligible",
    "Unreachable",
    "User",
    "UserWithPassword",
]
