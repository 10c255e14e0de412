"""Events of the account without those of tokens: of its policy, users, catalogue and bulk revocations."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.core.events import Fact
from counterfoil.core.principal import Principal
from counterfoil.core.subjects.changes import Changes, changes_of
from counterfoil.documents.events import AccountEventDocument, AccountEventPage, ActorDocument, ChangeDocument
from counterfoil.postgres.account_events import account_events, histories
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.actors import Names, names
from counterfoil_api.handling.reading import Reading
from counterfoil_api.native.account.periods import PeriodPageQuery, period_of
from counterfoil_api.native.tokens.showing import event_document
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Query

api = Api("audit", OURS)

_MOST_FOLDED: Final = 1_000
"""For a subject with more events than these, the list has no changes of fields."""
_PERSONAL_FIELDS: Final = frozenset({"name"})


@api.get("/v1/account/events", needs="audit.read")
async def list_account_events(reading: Reading, caller: Caller, *, query: Query[PeriodPageQuery]) -> AccountEventPage:
    """List the events of the account except those of tokens, the newest first, with old and new values.

    They concern the account's name, policy and ended secrets, its users, its catalogue of scopes, and its bulk
    revocations. E-mail addresses, and reasons stated about users, need the scope to read users.
    """
    question = ["account events", query.since, query.until]
    after = reading.after(caller, question, query.cursor, tuple[datetime, UUID, int])
    facts = await account_events(
        reading.pool, caller.account, period=period_of(query), after=after, limit=query.limit + 1
    )
    page, more = reading.page(
        caller, question, facts, limit=query.limit, place=lambda each: [each.at, each.subject.id, each.version]
    )
    changes = await _changes(reading, caller, page)
    known = await names(reading, caller, (each for fact in page for each in (fact.by.id, fact.subject.id)))
    await reading.access_log.record(caller, "events", rows=len(page))
    items = [_document(caller, fact, changes.get((fact.subject.id, fact.version)), known) for fact in page]
    return AccountEventPage(items=items, next_cursor=more)


async def _changes(reading: Reading, caller: Principal, page: list[Fact]) -> dict[tuple[UUID, int], Changes]:
    until: dict[UUID, int] = {}
    for fact in page:
        if fact.version <= _MOST_FOLDED:
            until[fact.subject.id] = max(fact.version, until.get(fact.subject.id, 0))
    history = await histories(reading.pool, caller.account, until)
    return {(subject, version): changes for subject, version, changes in changes_of(history)}


def _document(caller: Principal, fact: Fact, changes: Changes | None, known: Names) -> AccountEventDocument:
    event, named = event_document(fact, known), known.get(fact.subject.id)
    hidden: frozenset[str] = frozenset()
    if fact.subject.kind == "user" and caller.lacks("users.read"):
        event, hidden = msgspec.structs.replace(event, private=None), _PERSONAL_FIELDS
    return AccountEventDocument(
        version=event.version, type=event.type, at=event.at, by=event.by, data=event.data, private=event.private,
        subject=ActorDocument(
            kind=fact.subject.kind, id=fact.subject.id, number=named.number if named else None,
            name=named.name if named else None,
        ),
        changes=None if changes is None else {
            field: ChangeDocument(before=before, after=after)
            for field, (before, after) in changes.items() if field not in hidden
        },
    )  # fmt: skip
