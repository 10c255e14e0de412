"""Alerts: expiries and ends of graces that operators must know before something breaks."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from counterfoil.core.duration import length
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import BadDuration, BadReference
from counterfoil.documents.fields import Cursor, Given, Limit, Span
from counterfoil.documents.tokens import AlertDocument, AlertPage
from counterfoil.postgres.alerts import Alert, alerts_of, expiring_within, unannounced
from counterfoil.postgres.grace_alerts import PLACE, GraceAlert, grace_alerts_of
from counterfoil.postgres.listing import Filter
from counterfoil.postgres.liveness import database_time
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller, need
from counterfoil_api.handling.reading import Reading
from counterfoil_api.native.account.actor_references import ActorRef
from counterfoil_api.native.tokens.filters import OwnerRef, OwnerType, TokenFilter, filter_within
from counterfoil_api.native.tokens.showing import alert_document, grace_alert_document
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Query

api = Api("alerts", OURS)

_QUESTION: Final = "alerts"
SCOPE: Final = "alerts.read"
Window = Annotated[Span, Meta(description="How far ahead, such as 7d.")]


class AlertFilter(Given, frozen=True, kw_only=True):
    """The tokens of an owner, or those that a user or token created."""

    owner_type: OwnerType | None = None
    owner_id: OwnerRef | None = None
    creator: ActorRef | None = None


class AlertQuery(AlertFilter, frozen=True, kw_only=True):
    """A page of what was announced, or of all expiries `within` a window."""

    limit: Limit = 50
    cursor: Cursor | None = None
    within: Window | None = None
    used: (
        Annotated[Literal["true", "false"], Meta(description="Only tokens with recent uses, or only those without.")]
        | None
    ) = None


@api.get("/v1/alerts", scope=SCOPE, refusals=(BadDuration, BadReference))
async def list_alerts(reading: Reading, caller: Caller, *, query: Query[AlertQuery]) -> AlertPage:
    """List announced and past expiries of the tokens that the caller may reach, and ends of graces.

    First come tokens whose previous secret ends soon although it is in use (`grace_ending`), the next to end first.
    Such an alert ends when the rotation is confirmed, its grace extended, or the grace over.

    With `within`, list every token that is not revoked and expires in that window, or has expired within the last 30
    days, with or without a notice, and no graces. The most urgent come first: by notice, or with `within` by expiry
    (past, within a day, 7, 30, 90 days, later); then the most used token, after which come suspended ones and those of
    disabled users. Such an alert ends when its token is renewed or revoked, and 30 days after the expiry. With
    `creator`, list only tokens that this user or token created.
    """
    whose = reach_of_alerts(caller)
    wanted = await filtered(reading, caller, query, within=whose, scope=SCOPE)
    used = None if query.used is None else query.used == "true"
    question = [_QUESTION, wanted, query.within, query.used]
    place = reading.after(caller, question, query.cursor, list[Any])
    # All pages of a window show the time of the first page.
    at = await database_time(reading.pool) if place is None else datetime.fromisoformat(str(place[-1]))
    alerts: list[Alert | GraceAlert]
    if query.within is None:
        alerts = await _announced(reading, caller, wanted, used=used, after=place, limit=query.limit + 1)
    else:
        alerts = [*await expiring_within(
            reading.pool, caller.account, _length(query.within), at=at, wanted=wanted, used=used, after=place,
            limit=query.limit + 1,
        )]  # fmt: skip
    page, more = reading.page(
        caller, question, alerts, limit=query.limit, place=lambda each: [*each.listed.place, at.isoformat()]
    )
    if whose is None:
        reading.access_log.note(caller, "alerts", rows=len(page))
    return AlertPage(
        items=[_document(alert) for alert in page], next_cursor=more,
        unannounced=await unannounced(reading.pool, caller.account, wanted=wanted),
    )  # fmt: skip


async def filtered(
    reading: Reading, caller: Principal, given: AlertFilter, *, within: Owner | None, scope: str
) -> Filter:
    """Return the filter of the tokens that are asked for, limited to those of one owner, or with None of any."""
    tokens = TokenFilter(owner_type=given.owner_type, owner_id=given.owner_id, creator=given.creator)
    return await filter_within(reading, caller, tokens, within=within, scope=scope, where="query")


async def _announced(
    reading: Reading, caller: Principal, wanted: Filter, *, used: bool | None, after: list[Any] | None, limit: int
) -> list[Alert | GraceAlert]:
    """Return ends of graces, then expiries. A grace is announced only while it is used."""
    found: list[Alert | GraceAlert] = []
    if after is None or after[0] == PLACE:
        if used is not False:
            found += await grace_alerts_of(reading.pool, caller.account, wanted=wanted, after=after, limit=limit)
        after = None
    if len(found) < limit:
        left = limit - len(found)
        found += await alerts_of(reading.pool, caller.account, wanted=wanted, used=used, after=after, limit=left)
    return found


def _document(alert: Alert | GraceAlert) -> AlertDocument:
    return grace_alert_document(alert) if isinstance(alert, GraceAlert) else alert_document(alert)


def _length(window: str) -> timedelta:
    try:
        return length(window)
    except BadDuration as refusal:
        raise BadDuration(refusal.detail, field="within") from None


def reach_of_alerts(caller: Principal) -> Owner | None:
    """Return the owner whose alerts the caller may read; None means every owner."""
    if caller.owner is None or caller.lacks("own.read") or not caller.lacks(SCOPE):
        need(caller, SCOPE)
        return None
    return caller.owner
