"""Since when and until when: the time filters of what auditors list."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from counterfoil.core.moments import MEANING
from counterfoil.documents.fields import Ago, Given
from counterfoil.postgres.periods import Period
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.native.tokens.filters import moment

Since = Annotated[Ago, Meta(description=f"From then on. {MEANING} 7d is seven days ago.")]
Until = Annotated[Ago, Meta(description=f"Up to but without then. {MEANING} 7d is seven days ago.")]


class PeriodQuery(Given, frozen=True, kw_only=True):
    """From a moment on, up to but without another."""

    since: Since | None = None
    until: Until | None = None


def period_of(query: PeriodQuery) -> Period:
    """The period that is meant, or InvalidRequest for what is no moment or ends before it begins."""
    since = None if query.since is None else moment(query.since, where="query", field="since")
    until = None if query.until is None else moment(query.until, where="query", field="until")
    if isinstance(since, datetime) and isinstance(until, datetime) and since >= until:
        raise InvalidRequest(
            "`until` is not after `since`; state a later one, such as since=7d&until=1d.", where="query", field="until"
        )
    return Period(since, until)
