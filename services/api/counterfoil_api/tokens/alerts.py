"""Alerts: what operators must hear of before it breaks."""

from counterfoil.cursor import BadCursor
from counterfoil.postgres.alerts import alerts_of
from counterfoil.principal import Owner, Principal
from counterfoil.refusals import ScopeMissing
from counterfoil_api.auth.principals import need
from counterfoil_api.ledger import Ledger
from counterfoil_api.tokens.showing import alert_document
from counterfoil_api.typed.api import Api
from counterfoil_api.typed.documents import AlertPage, Cursor, Given, Limit
from counterfoil_api.typed.reading import Asker, Query

api = Api("alerts")

_QUESTION = "alerts"


class AlertQuery(Given, frozen=True, kw_only=True):
    """A page at a time."""

    limit: Limit = 50
    cursor: Cursor | None = None


@api.get("/v1/alerts", scope="alerts.read", refusals=(ScopeMissing, BadCursor))
async def list_alerts(ledger: Ledger, asker: Asker[Principal], *, query: Query[AlertQuery]) -> AlertPage:
    """List expiries that were announced or have come, or those of the tokens within the asker's reach.

    The closest notice comes first, and within one notice the token that is used most. An alert goes away when its token
    is renewed or revoked, and 30 days after the expiry.
    """
    within = _reach(asker)
    question = [_QUESTION, within]
    place = None if query.cursor is None else ledger.cursors.place(asker.account, question, query.cursor)
    alerts = await alerts_of(ledger.readers, asker.account, owner=within, after=place, limit=query.limit + 1)
    page = alerts[: query.limit]
    if within is None:
        ledger.witness.note(asker, "alerts", shown=len(page))
    more = None
    if len(alerts) > query.limit:
        more = ledger.cursors.made(asker.account, question, page[-1].listed.place)
    return AlertPage(items=[alert_document(alert) for alert in page], next_cursor=more)


def _reach(asker: Principal) -> Owner | None:
    """Whose alerts: everybody's (None), or those of the asker's own tokens, which `own.read` shows anyway."""
    if asker.owner is None or asker.lacks("own.read") or not asker.lacks("alerts.read"):
        need(asker, "alerts.read")
        return None
    return asker.owner
