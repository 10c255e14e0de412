"""Reads of others' tokens and of the log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET

from counterfoil.core.events import Fact
from counterfoil.core.principal import Actor
from counterfoil.core.subjects.access import Read, access_id_of
from counterfoil.documents.reads import LogRangeDocument, ReadDocument, ReadPage
from counterfoil.postgres.account_events import reads_of
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.actors import Names, actor_document, names
from counterfoil_api.handling.reading import Reading
from counterfoil_api.native.account.actor_references import ActorRef, named_actor
from counterfoil_api.native.account.periods import PeriodPageQuery, period_of
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Query

api = Api("audit", OURS)


class ReadQuery(PeriodPageQuery, frozen=True, kw_only=True):
    """A filter of reads by reader."""

    reader: ActorRef | None = None


@api.get("/v1/reads", needs="audit.read")
async def list_reads(reading: Reading, caller: Caller, *, query: Query[ReadQuery]) -> ReadPage:
    """List who has read what, the newest first.

    A read of the log, of a past state or of this list is logged before the answer; lists and reads of tokens are
    counted and logged within about a second. Reads of one's own tokens are not logged. For `/v1/events` the first read
    of an hour is logged before the answer, and the others of the hour together at its end.
    """
    reader = None if query.reader is None else await named_actor(reading, caller, query.reader, field="reader")
    question: list[Any] = ["reads", reader, query.since, query.until]
    readers = () if reader is None else (Actor("user", reader), Actor("token", reader))
    logs = [access_id_of(caller.account, each) for each in readers] or None
    after = reading.after(caller, question, query.cursor, tuple[datetime, UUID, int])
    facts = await reads_of(
        reading.pool, caller.account, logs=logs, period=period_of(query), after=after, limit=query.limit + 1
    )
    page, more = reading.page(
        caller, question, facts, limit=query.limit, place=lambda each: [each.at, each.subject.id, each.version]
    )
    await reading.access_log.record(caller, "reads", rows=len(page))
    known = await names(reading, caller, (event.reader.id for event in map(_read, page)))
    return ReadPage(items=[_document(fact, known) for fact in page], next_cursor=more)


def _read(fact: Fact) -> Read:
    if not isinstance(fact.event, Read):
        raise TypeError("a log holds reads")
    return fact.event


def _document(fact: Fact, known: Names) -> ReadDocument:
    event = _read(fact)
    return ReadDocument(
        at=fact.at, reader=actor_document(event.reader, known), calls=event.calls, rows=event.rows,
        tokens=event.tokens, seconds=event.seconds, version=fact.version,
        log=None if event.log is UNSET else LogRangeDocument(
            first=event.log.first, last=event.log.last, filters=event.log.filters
        ),
    )  # fmt: skip
