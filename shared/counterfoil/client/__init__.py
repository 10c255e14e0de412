"""The Python client of the ledger, for services and for our own command line.

    async with Client("https://ledger.example", token) as ledger:
        issued = await ledger.create("nightly backup", scopes=["backups.write"], lifetime="90d")
        keep(issued.secret)

A call either happened once or not at all: every change carries one Idempotency-Key, which stays the same
over all tries, so that a connection cut in the middle loses no secret. What calls return is in `documents`, what they
raise is in `failures`.
"""

from counterfoil.client.client import Client
from counterfoil.client.events import LogReader
from counterfoil.client.expiry import TokenExpiry
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
    "Client",
    "Conflict",
    "Denied",
    "Failure",
    "Forbidden",
    "Invalid",
    "LogEvent",
    "LogReader",
    "NotFound",
    "OutcomeUnknown",
    "Password",
    "PrivatePart",
    "Refused",
    "SecretNoLongerAvailable",
    "StaleRevision",
    "TokenExpiry",
    "Trust",
    "Unavailable",
    "Unintelligible",
    "Unreachable",
]
