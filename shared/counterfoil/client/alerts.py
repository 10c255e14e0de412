"""The calls about expiries: alerts, their forecast, and the plan that spreads them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import Alert, Forecast, SpreadPlan
from counterfoil.client.wire import Call

_PATIENCE_SECONDS: Final = 120.0
"""How long a forecast over a million tokens may take."""


class Alerts(Calls):
    """Read which tokens expire, and what breaks then."""

    def alerts(
        self,
        *,
        within: str | None = None,
        owner: tuple[str, str] | None = None,
        creator: str | None = None,
        used: bool | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Alert]:
        """Yield tokens that expire soon or have expired, or whose previous secret ends while in use; most urgent first.

        With `within`, a duration such as 7d: every token that expires in that window or has expired within the last 30
        days, with or without a notice. With `owner`, a type and an id, only tokens of this owner; with `creator`, such
        as user:2, only tokens that this user or token made. `used` selects tokens that were used within seven days, or
        those that were not.
        """
        query = _query(owner, {"within": within, "used": used, "creator": creator})
        return self.pages("/v1/alerts", query, Alert, limit=limit)

    async def unannounced(self, *, owner: tuple[str, str] | None = None, creator: str | None = None) -> int:
        """Return how many tokens expire within a day without a notice, 1,000 at most; `alerts` has them by `within`."""
        page = await self.fetched(dict[str, Any], "/v1/alerts", _query(owner, {"limit": 1, "creator": creator}))
        return int(page["unannounced"])

    async def forecast(self, *, owner: tuple[str, str] | None = None, **query: str | int | None) -> Forecast:
        """Return how many tokens expire on each of the next days in UTC, and the cliffs among them.

        Parameters: days; creator, such as user:2; and when used tokens that expire together are a cliff: at least
        `min_used` of them, and `min_percent` of all used ones, within a `window` such as 24h.
        """
        call = Call("GET", "/v1/alerts/forecast", _query(owner, query), patience_seconds=_PATIENCE_SECONDS)
        return spelling.read(await self.wire.ask(call), Forecast)

    async def plan_spread(self, *, owner: tuple[str, str] | None = None, **query: str | int | None) -> SpreadPlan:
        """Return new expiries that spread the cliffs; the parameters are those of `forecast`. It changes nothing.

        Carry it out with `renew(move.id, expires_at=move.new_expires_at, keeps_lifetime=True, if_match=move.revision)`.
        """
        call = Call("GET", "/v1/alerts/spread", _query(owner, query), patience_seconds=_PATIENCE_SECONDS)
        return spelling.read(await self.wire.ask(call), SpreadPlan)


def _query(owner: tuple[str, str] | None, more: dict[str, str | int | None]) -> dict[str, str]:
    owner_type, owner_id = owner or (None, None)
    return spelling.query_of(owner_type=owner_type, owner_id=owner_id, **more)
