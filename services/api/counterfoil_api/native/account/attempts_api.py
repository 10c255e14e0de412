"""Failed attempts on an account, by the minute."""

from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta

from counterfoil.core.principal import Actor
from counterfoil.core.refusals import Denied, Forbidden, SecretTaken
from counterfoil.documents.attempts import AttemptDocument, AttemptPage
from counterfoil.documents.events import ActorDocument
from counterfoil.postgres.attempts import Attempted, attempts_of
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.actors import Names, actor_document, names
from counterfoil_api.handling.reading import Reading
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.http.problems import KINDS as PROBLEMS
from counterfoil_api.http.problems import kind_of
from counterfoil_api.native.account.actor_references import ActorRef, named_actor
from counterfoil_api.native.account.periods import PeriodPageQuery, period_of
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Query

api = Api("audit", OURS)


KINDS: Final = sorted(
    {"login-failed", "rate-limited", kind_of(SecretTaken()).name}
    | {kind.name for refusal, kind in PROBLEMS.items() if issubclass(refusal, Denied | Forbidden)}
)
"""The kinds of failed attempts."""


class AttemptQuery(PeriodPageQuery, frozen=True, kw_only=True):
    """A filter of attempts by kind, and by user or token."""

    kind: Annotated[str, Meta(max_length=40, extra_json_schema={"enum": KINDS})] | None = None
    subject: ActorRef | None = None


@api.get("/v1/attempts", needs="audit.read")
async def list_attempts(reading: Reading, caller: Caller, *, query: Query[AttemptQuery]) -> AttemptPage:
    """List failed attempts on the account, the latest first.

    Each row counts one kind of failure of one token or user within a minute. Rows appear after a second and are kept
    for 90 days. Failures that belong to no account, such as unknown secrets, are in no list.
    """
    if query.kind is not None and query.kind not in KINDS:
        says = f"{query.kind!r} is not a kind of attempt; write one of {', '.join(KINDS)}."
        raise InvalidRequest(says, field="kind", where="query")
    subject = None if query.subject is None else await named_actor(reading, caller, query.subject, field="subject")
    question = ["attempts", query.kind, subject, query.since, query.until]
    found = await attempts_of(
        reading.pool,
        caller.account,
        kind=query.kind,
        subject=subject,
        period=period_of(query),
        after=reading.after(caller, question, query.cursor, list[Any]),
        limit=query.limit + 1,
    )
    page, more = reading.page(caller, question, found, limit=query.limit, place=lambda each: each.place)
    known = await names(reading, caller, (each.subject for each in page if each.subject is not None))
    return AttemptPage(items=[_document(each, known) for each in page], next_cursor=more)


def _document(each: Attempted, known: Names) -> AttemptDocument:
    return AttemptDocument(
        minute=each.minute, kind=each.kind, subject=each.subject, named=_named(each.subject, known),
        network=each.network, count=each.count, last_at=each.last_at,
    )  # fmt: skip


def _named(subject: UUID | None, known: Names) -> ActorDocument | None:
    named = None if subject is None else known.get(subject)
    return None if named is None or subject is None else actor_document(Actor(named.kind, subject), known)
