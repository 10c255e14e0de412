"""The time filters `since` and `until` of lists for auditors."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from counterfoil.core.moments import MEANING
from counterfoil.documents.fields import Ago, Cursor, Given, Limit
from counterfoil.postgres.periods import Period
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.native.tokens.filters import moment

Since = Annotated[Ago, Meta(description=f"From this time on. {MEANING} 7d is seven days ago.")]
Until = Annotated[Ago, Meta(description=f"Before this time. {MEANING} 7d is seven days ago.")]


class PeriodQuery(Given, frozen=True, kw_only=True):
    """A half-open period: from `since` on, before `until`."""

    since: Since | None = None
    until: Until | None = None


class PeriodPageQuery(PeriodQuery, frozen=True, kw_only=True):
    """A page of a period."""

    limit: Limit = 50
    cursor: Cursor | None = None


def period_of(query: PeriodQuery) -> Period:
    """Return the requested period. Raises InvalidRequest for an invalid time, or an end before the beginning."""
    since = None if query.since is None else moment(query.since, where="query", field="since")
    until = None if query.until is None else moment(query.until, where="query", field="until")
    if isinstance(since, datetime) and isinstance(until, datetime) and since >= until:
        raise InvalidRequest(
            "`until` is not after `since`; state a later one, such as since=7d&until=1d.", where="query", field="until"
        )
    return Period(since, until)
