"""Alerts: expiries that operators must know before something breaks."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta

from counterfoil.core.duration import length
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import BadDuration, BadReference
from counterfoil.documents.fields import Span
from counterfoil.documents.tokens import AlertPage
from counterfoil.postgres.alerts import alerts_of, expiring_within, unannounced
from counterfoil.postgres.liveness import database_time
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller, need
from counterfoil_api.handling.reading import PageQuery, Reading
from counterfoil_api.native.account.actor_references import ActorRef
from counterfoil_api.native.tokens.filters import named_creator
from counterfoil_api.native.tokens.showing import alert_document
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Query

api = Api("alerts", OURS)

_QUESTION = "alerts"
Window = Annotated[Span, Meta(description="How far ahead, such as 7d.")]


class AlertQuery(PageQuery, frozen=True, kw_only=True):
    """A page of the announced expiries, or of all `within` a window."""

    within: Window | None = None
    creator: ActorRef | None = None


@api.get("/v1/alerts", scope="alerts.read", refusals=(BadDuration, BadReference))
async def list_alerts(reading: Reading, caller: Caller, *, query: Query[AlertQuery]) -> AlertPage:
    """List announced and past expiries of the tokens that the caller may reach.

    With `within`, list every token that is not revoked and expires in that window, or has expired within the last 30
    days, with or without a notice. The most urgent come first: by notice, or with `within` by expiry (past, within a
    day, 7, 30, 90 days, later), then the most used token. An alert ends when its token is renewed or revoked, and 30
    days after the expiry. With `creator`, list only tokens that this user or token created.
    """
    reach = _reach(caller)
    creator = await named_creator(reading, caller, query.creator, within=reach, where="query")
    question = [_QUESTION, reach, query.within, creator]
    place = reading.after(caller, question, query.cursor, list[Any])
    # All pages of a window show the time of the first page.
    at = await database_time(reading.pool) if place is None else datetime.fromisoformat(str(place[-1]))
    if query.within is None:
        alerts = await alerts_of(
            reading.pool, caller.account, owner=reach, creator=creator, after=place, limit=query.limit + 1
        )
    else:
        alerts = await expiring_within(
            reading.pool, caller.account, _length(query.within), at=at, owner=reach, creator=creator, after=place,
            limit=query.limit + 1,
        )  # fmt: skip
    page, more = reading.page(
        caller, question, alerts, limit=query.limit, place=lambda each: [*each.listed.place, at.isoformat()]
    )
    if reach is None:
        reading.access_log.note(caller, "alerts", rows=len(page))
    return AlertPage(
        items=[alert_document(alert) for alert in page], next_cursor=more,
        unannounced=await unannounced(reading.pool, caller.account, owner=reach, creator=creator),
    )  # fmt: skip


def _length(window: str) -> timedelta:
    try:
        return length(window)
    except BadDuration as refusal:
        raise BadDuration(refusal.detail, field="within") from None


def _reach(caller: Principal) -> Owner | None:
    """Return the owner whose alerts the caller may read; None means every owner."""
    if caller.owner is None or caller.lacks("own.read") or not caller.lacks("alerts.read"):
        need(caller, "alerts.read")
        return None
    return caller.owner
