"""Commands, claims and replies in few words, for the tests of the door."""

from itertools import count
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids

from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.secret import Minted, Peppers, mint
from counterfoil.core.subjects.token.commands import Create, ExchangeSecret, Revoke, Rotate, Update
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Outcome
from counterfoil.idempotency import Attempt, IdempotencyClaim, claim

ACCOUNT = UUID(int=0xACC)
ADMIN = Principal(actor=Actor("user", UUID(int=0xAD)), account=ACCOUNT, scopes=("all",))
PEPPERS = Peppers({1: b"p" * 32})
THRESHOLDS = (30 * 86_400, 7 * 86_400, 86_400)

_NUMBERS = count(1)


def minted() -> Minted:
    return PEPPERS.minted(mint("service"))


def create(**said: Any) -> Create:
    usual: dict[str, Any] = {
        "account": ACCOUNT, "id": uuids.uuid7(), "by": ADMIN, "number": next(_NUMBERS),
        "owner": Owner("service", "billing"), "name": "nightly", "secret": minted(), "scopes": ("jobs.run",),
        "lifetime": "90d", "thresholds": THRESHOLDS,
    }  # fmt: skip
    return Create(**usual | said)


def exchange(made: Create) -> ExchangeSecret:
    return ExchangeSecret(
        digests=(made.secret.digest if made.secret else b"",), jti=uuids.uuid7(), lifetime_seconds=3600
    )


def update(made: Create, **said: Any) -> Update:
    return Update(account=made.account, id=made.id, by=ADMIN, **said)


def rotate(made: Create, **said: Any) -> Rotate:
    usual: dict[str, Any] = {"secret": minted(), "grace_seconds": 0}
    return Rotate(account=made.account, id=made.id, by=ADMIN, **usual | said)


def revoke(made: Create, reason: str = "no longer needed") -> Revoke:
    return Revoke(account=made.account, id=made.id, by=ADMIN, reason=reason)


def claim_of(
    key: str, body: bytes = b"{}", *, holds_secret: bool = True, attempt: Attempt | None = None
) -> IdempotencyClaim:
    request = (b"POST", b"/", body)
    return claim(PEPPERS, ADMIN, key.ljust(22, "."), request=request, holds_secret=holds_secret, attempt=attempt)


def answer(outcome: Outcome) -> bytes:
    """A service's reply; two effects never give the same reply."""
    return f"{outcome.of(Token).id} {outcome.of(Token).version} {outcome.of(Token).hint}".encode()
