"""The client of a service: every call is a method."""

from __future__ import annotations

from typing import Self

from counterfoil.client.account import OwnAccount
from counterfoil.client.alerts import Alerts
from counterfoil.client.bulk import Bulk
from counterfoil.client.events import Events
from counterfoil.client.expiry import TokenExpiry
from counterfoil.client.subscriptions import Subscriptions
from counterfoil.client.tokens import Tokens
from counterfoil.client.users import Users
from counterfoil.client.wire import Password, Wire


class Client(Tokens, Alerts, Bulk, OwnAccount, Events, Users, Subscriptions):
    """A ledger, called with one token: `async with Client(url, token) as ledger`.

    In place of the token, calls that need a password take a `Password`, and calls without a login take None.

    `timeout_seconds` bounds a whole call with all its tries, `try_seconds` each try. If nothing listens
    (connections are refused, or the name has no address) it gives up after `refused_seconds`; a restart takes longer.
    Every change takes an `idempotency_key`; without one the client makes a fresh key for the call and all its tries.
    """

    def __init__(
        self,
        url: str,
        token: str | Password | None,
        *,
        timeout_seconds: float = 30.0,
        try_seconds: float = 10.0,
        refused_seconds: float = 3.0,
    ) -> None:
        times = {"timeout_seconds": timeout_seconds, "try_seconds": try_seconds, "refused_seconds": refused_seconds}
        super().__init__(Wire(url, token, **times))

    @property
    def expiry(self) -> TokenExpiry | None:
        """When this client's token ends, as of the latest answer; None if it never does, and before the first answer.

        A service that logs a warning while `expiry.is_near` is renewed in time.
        """
        return self.wire.expiry

    async def __aenter__(self) -> Self:
        await self.wire.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.wire.__aexit__(*exception)
