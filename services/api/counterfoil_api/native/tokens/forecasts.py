"""The forecast of expiries, and the plan that spreads the cliffs in it."""

from datetime import timedelta
from typing import Annotated, Any

from msgspec import Meta

from counterfoil.core.cliffs import RULE, Cliff, CliffRule
from counterfoil.core.duration import length, spelt
from counterfoil.core.refusals import BadDuration, BadReference
from counterfoil.documents.fields import Span
from counterfoil.documents.forecasts import (
    CliffDocument,
    ForecastDay,
    ForecastDocument,
    Move,
    NotMoved,
    OwnerExpiring,
    SpreadDocument,
)
from counterfoil.documents.owners import OwnerDocument
from counterfoil.postgres.descent import LONGEST_SECONDS
from counterfoil.postgres.forecast import Day, Forecast, forecast_of
from counterfoil.postgres.listing import Listed
from counterfoil.uses.spread_expiries import SpreadPlan, plan_spread
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller, reach
from counterfoil_api.handling.reading import Reading
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.http.problems import kind_of
from counterfoil_api.native.tokens.alerts import SCOPE, AlertFilter, filtered, reach_of_alerts
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Query

api = Api("alerts", OURS)

_PATIENCE_SECONDS = LONGEST_SECONDS + 10.0
_RENEW = "tokens.renew"
_SHORTEST, _LONGEST = timedelta(hours=1), timedelta(days=30)


class ForecastQuery(AlertFilter, frozen=True, kw_only=True):
    """So many days from today on, and when used tokens that expire together are a cliff.

    They are one if at least `min_used` of them, and `min_percent` of all used tokens that expire in these days, expire
    in one window. A window may begin at any moment.
    """

    days: Annotated[int, Meta(ge=1, le=400, description="Days in UTC, today among them.")] = 90
    window: Annotated[Span, Meta(description="How long a window is: full hours, from 1h to 30d.")] = spelt(
        int(RULE.window.total_seconds())
    )
    min_used: Annotated[int, Meta(ge=2, le=1_000_000)] = RULE.least
    min_percent: Annotated[int, Meta(ge=1, le=100)] = RULE.percent


@api.get(
    "/v1/alerts/forecast",
    scope=SCOPE,
    refusals=(BadDuration, BadReference),
    patience_seconds=_PATIENCE_SECONDS,
)
async def get_forecast(reading: Reading, caller: Caller, *, query: Query[ForecastQuery]) -> ForecastDocument:
    """Count the tokens that expire on each of the next days, and find cliffs: used tokens that expire together.

    It counts the tokens that the caller may reach. Tokens are used if they have recent uses, as in the list of alerts.
    """
    rule, whose = _rule(query), reach_of_alerts(caller)
    wanted = await filtered(reading, caller, query, within=whose, scope=SCOPE)
    async with reading.turn():
        forecast = await forecast_of(reading.pool, caller.account, wanted=wanted, days=query.days, rule=rule)
    if whose is None:
        reading.access_log.note(caller, "alerts", rows=0)
    return _forecast_document(forecast, rule, days=query.days)


@api.get(
    "/v1/alerts/spread",
    scope=_RENEW,
    refusals=(BadDuration, BadReference),
    patience_seconds=_PATIENCE_SECONDS,
)
async def plan_spreading(reading: Reading, caller: Caller, *, query: Query[ForecastQuery]) -> SpreadDocument:
    """Plan how to spread the cliffs of the next days; nothing changes. It needs `alerts.read`, too.

    A token moves by whole windows to the nearest one with room, later or earlier, but at least seven days from now,
    within these days, and never to an expiry that a renewal by this caller would be refused. With windows of a day it
    keeps its time of day. No window becomes a cliff, and none gets fuller than the fullest was.
    """
    rule, renewable, whose = _rule(query), reach(caller, _RENEW), reach_of_alerts(caller)
    movable = await filtered(reading, caller, query, within=renewable, scope=_RENEW)
    wanted = await filtered(reading, caller, query, within=whose, scope=SCOPE)
    async with reading.turn():
        plan = await plan_spread(reading.pool, caller, wanted=wanted, movable=movable, days=query.days, rule=rule)
    if whose is None:
        reading.access_log.note(caller, "alerts", rows=len(plan.moves) + len(plan.refused))
    return _spread_document(plan, rule)


def _rule(query: ForecastQuery) -> CliffRule:
    try:
        window = length(query.window, field="window")
    except BadDuration as refusal:
        raise BadDuration(refusal.detail, field="window") from None
    if not _SHORTEST <= window <= _LONGEST or window % timedelta(hours=1):
        raise InvalidRequest(
            f"`window` is `{query.window}`; it has to be full hours, from 1h to 30d.", where="query", field="window"
        )
    return CliffRule(window, query.min_used, query.min_percent)


def _forecast_document(forecast: Forecast, rule: CliffRule, *, days: int) -> ForecastDocument:
    found = {day.day: day for day in forecast.days}
    dates = (forecast.at.date() + timedelta(days=number) for number in range(days))
    return ForecastDocument(
        at=forecast.at,
        tokens=sum(day.tokens for day in forecast.days),
        used=forecast.used,
        days=[_day_document(found.get(each, Day(each, 0, 0, ()))) for each in dates],
        cliffs=_cliff_documents(forecast.cliffs, rule),
    )


def _day_document(day: Day) -> ForecastDay:
    owners = [
        OwnerExpiring(owner=OwnerDocument(each.type, each.id), tokens=each.tokens, used=each.used)
        for each in day.owners
    ]
    return ForecastDay(day=day.day, tokens=day.tokens, used=day.used, owners=owners)


def _cliff_documents(cliffs: tuple[Cliff, ...], rule: CliffRule) -> list[CliffDocument]:
    return [CliffDocument(starts_at=c.starts_at, ends_at=c.starts_at + rule.window, used=c.used) for c in cliffs]


def _spread_document(plan: SpreadPlan, rule: CliffRule) -> SpreadDocument:
    return SpreadDocument(
        cliffs=_cliff_documents(plan.cliffs, rule),
        moves=[Move(**_facts(listed), new_expires_at=moved) for listed, moved in plan.moves],
        refused=[
            NotMoved(**_facts(listed), problem=kind_of(refusal).name, detail=refusal.detail)
            for listed, refusal in plan.refused
        ],
        left_over=plan.left_over,
    )


def _facts(listed: Listed) -> dict[str, Any]:
    token = listed.token
    return {
        "id": token.id, "number": token.number, "name": token.name, "revision": token.revision,
        "owner": OwnerDocument(token.owner.type, token.owner.id), "last_used_at": listed.last_used_at,
        "expires_at": token.expires_at,
    }  # fmt: skip
