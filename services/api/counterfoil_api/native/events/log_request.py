"""A request of the log: its reader, the log, the position, the filter, and what the reader may see."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from counterfoil.core.duration import length
from counterfoil.core.kinds import EVENTS
from counterfoil.core.moments import Moment
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import OperatorOnly
from counterfoil.postgres.liveness import database_time
from counterfoil.postgres.sealed_log import LogFilter, Window, head_of, window
from counterfoil.settings import Settings
from counterfoil_api.events.lines import Sight, sight_of
from counterfoil_api.handling.reading import Reading
from counterfoil_api.http.errors import BeyondLog, CredentialsInQuery, InvalidRequest
from counterfoil_api.native.account.actor_references import named_actor
from counterfoil_api.native.account.periods import period_of
from counterfoil_api.native.events.documents import LATEST, LogQuery
from counterfoil_api.native.tokens.references import is_reference

_TYPES: Final = frozenset(word for events in EVENTS.values() for word in events)
_FILTERS: Final = ("token", "user", "subject", "kind", "type", "actor", "since", "until")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """One request, with the state of the log at its beginning."""

    reading: Reading
    caller: Principal
    account: UUID | None
    """The account of the log; None is the log of all accounts, which has positions of its own."""
    after: int
    head: int
    """The end of the log when the request began."""
    wanted: LogFilter
    sight: Sight
    filters: tuple[str, ...]
    """The names of the filters in use."""
    tokens: tuple[UUID, ...]
    """The token whose events are requested, if the request names one."""

    async def window(self, *, after: int, limit: int) -> Window:
        """Read the next events."""
        return await window(
            self.reading.pool, self.account, after=after, until=self.head, filter=self.wanted, limit=limit
        )

    async def record(self, *, last: int, rows: int = 0) -> None:
        """Log this read before the answer begins."""
        await self.reading.access_log.record_log(
            self.caller, first=self.after + 1, last=last, rows=rows, filters=self.filters, tokens=self.tokens,
            whole=self.account is None,
        )  # fmt: skip

    def note(self, *, first: int, last: int, rows: int) -> None:
        """Count what the answer contains."""
        self.reading.access_log.note_log(self.caller, first=first, last=last, rows=rows, whole=self.account is None)


async def request_of(reading: Reading, settings: Settings, caller: Principal, query: LogQuery) -> LogRequest:
    """Return the request of this query, or raise its refusal."""
    if query.accounts and caller.account != settings.operator_account:
        raise OperatorOnly
    account = None if query.accounts else caller.account
    wanted = await _filter(reading, caller, query)
    head = await head_of(reading.pool, account)
    after = head if query.after == LATEST else int(query.after)
    if after > head:
        raise BeyondLog(
            f"The log ends at {head}, before position {after}. Begin at an earlier position or at {LATEST}; if you have"
            " read beyond it before, the database is an older copy.",
            head=head,
        )
    return LogRequest(
        reading=reading, caller=caller, account=account, after=after, head=head, wanted=wanted, sight=sight_of(caller),
        filters=tuple(name for name in _FILTERS if getattr(query, name)),
        tokens=(wanted.subject,) if query.token and wanted.subject else (),
    )  # fmt: skip


async def _filter(reading: Reading, caller: Principal, query: LogQuery) -> LogFilter:
    if len([each for each in (query.token, query.user, query.subject) if each is not None]) > 1:
        raise InvalidRequest("State one of token, user and subject, not several.", where="query", field="subject")
    _refuse_unknown(query.kind, EVENTS, field="kind")
    _refuse_unknown(query.type, _TYPES, field="type")
    period = period_of(query)
    now = await database_time(reading.pool)
    actor = None if query.actor is None else await _named(reading, caller, query, query.actor, field="actor")
    return LogFilter(
        subject=await _subject(reading, caller, query), kinds=query.kind, types=query.type,
        actors=() if actor is None else (actor,), since=_fixed(period.since, now, field="since"),
        until=_fixed(period.until, now, field="until"),
    )  # fmt: skip


def _refuse_unknown(given: Iterable[str], known: Iterable[str], *, field: str) -> None:
    for each in given:
        if each not in known:
            words = ", ".join(sorted(known))
            raise InvalidRequest(f"`{field}` must be one of {words}.", where="query", field=field)


def _fixed(moment: Moment | None, now: datetime, *, field: str) -> datetime | None:
    """Return the requested time; a duration means so long before the request."""
    if moment is None or isinstance(moment, datetime):
        return moment
    try:
        return now - length(moment)
    except OverflowError:
        raise InvalidRequest(
            f"`{field}` lies before the year 1; state a shorter duration, such as 7d.", where="query", field=field
        ) from None


async def _subject(reading: Reading, caller: Principal, query: LogQuery) -> UUID | None:
    if query.token is not None:
        if not is_reference(query.token):
            raise CredentialsInQuery(
                "A token is named by its id, its number or `self`, such as token=7. If this was its secret, treat it as"
                " leaked: no query string is a place for it."
            )
        return await _named(reading, caller, query, query.token, field="token")
    if query.user is not None:
        return await _named(reading, caller, query, query.user, field="user")
    return query.subject


async def _named(reading: Reading, caller: Principal, query: LogQuery, ref: str, *, field: str) -> UUID:
    """Return the id of the token or user that a filter names; across accounts only ids are allowed."""
    if query.accounts is None:
        return await named_actor(reading, caller, ref if field == "actor" else f"{field}:{ref}", field=field)
    try:
        return UUID(ref)
    except ValueError:
        raise InvalidRequest(
            f"With accounts=all, `{field}` has to be an id such as 019ca8c1-7b40-7000-8000-3f2a9c51d7e4.",
            where="query", field=field,
        ) from None  # fmt: skip
