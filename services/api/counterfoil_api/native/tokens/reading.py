"""Tokens: list them, read one as of now or of a past time, and list its events."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from counterfoil.core import moments
from counterfoil.core.history import Past, past
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import BadText, NotFound
from counterfoil.documents.events import EventPage, SubjectDocument
from counterfoil.documents.fields import Cursor, Given, Limit
from counterfoil.documents.tokens import AsOf, TokenDocument, TokenPage
from counterfoil.postgres.listing import Filter, Listed, Sort, page_of
from counterfoil.postgres.timeline import changes_until, events_of, happened_until, moment_of
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller, is_for, is_own
from counterfoil_api.handling.actors import Names, names
from counterfoil_api.handling.reading import PageQuery, Reading
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.native.tokens.examples import TOKEN, TOKENS
from counterfoil_api.native.tokens.filters import TokenFilter, in_utc, requested_filter
from counterfoil_api.native.tokens.references import TokenRef, permitted
from counterfoil_api.native.tokens.showing import event_document, listed_document, token_document
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Query
from counterfoil_api.operations.replies import Tagged

api = Api("tokens", OURS)

Order = Literal[
    "created", "name", "expires", "updated", "last_used", "number",
    "-created", "-name", "-expires", "-updated", "-last_used", "-number",
]  # fmt: skip
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_LAST_VERSION = 2**62


class TokenQuery(TokenFilter, frozen=True, kw_only=True):
    """A filter and an order of tokens; periods are half-open: from `…_after` on, before `…_before`."""

    sort: Order = "created"
    limit: Limit = 50
    cursor: Cursor | None = None


class PastQuery(Given, frozen=True, kw_only=True):
    """The time of the state; without it now."""

    as_of: (
        Annotated[
            str,
            Meta(
                max_length=64,
                description="A past time (RFC 3339) or a version of the token.",
                examples=["2026-03-01T00:00:00Z"],
                extra_json_schema={"pattern": "^([1-9][0-9]{0,17}|[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].*)?)$"},
            ),
        ]
        | None
    ) = None


class EventQuery(PageQuery, frozen=True, kw_only=True):
    """The oldest events first, or with `-version` the newest."""

    sort: Literal["version", "-version"] = "version"


@api.get("/v1/tokens", scope="tokens.read", refusals=(BadText,), example_reply=TOKENS)
async def list_tokens(reading: Reading, caller: Caller, *, query: Query[TokenQuery]) -> TokenPage:
    """List the tokens that the caller may reach."""
    wanted = await requested_filter(reading, caller, query, scope="tokens.read", where="query")
    question: list[Any] = ["tokens by creation", wanted, query.sort]
    sort: Sort = query.sort.lstrip("-")  # type: ignore[assignment] # each Order is a Sort, or one with a minus
    listed = await page_of(
        reading.pool,
        caller.account,
        wanted,
        sort=sort,
        descending=query.sort.startswith("-"),
        after=reading.after(caller, question, query.cursor, list[Any]),
        limit=query.limit + 1,
    )
    page, more = reading.page(caller, question, listed, limit=query.limit, place=lambda each: each.place)
    if not is_for(caller, _owner_of(wanted)):
        reading.access_log.note(caller, "list", rows=len(page))
    known = await names(reading, caller, (each.token.creator.id for each in page))
    return TokenPage(items=[listed_document(each, known) for each in page], next_cursor=more)


def _owner_of(wanted: Filter) -> Owner | None:
    if wanted.owner_type is None or wanted.owner_id is None:
        return None
    return msgspec.convert({"type": wanted.owner_type, "id": wanted.owner_id}, Owner)


@api.get("/v1/tokens/{ref}", scope="tokens.read", example_reply=TOKEN)
async def get_token(
    reading: Reading, caller: Caller, *, ref: TokenRef, query: Query[PastQuery]
) -> Tagged[TokenDocument]:
    """Read a token as of now or of a past time.

    A token may always read itself. With `as_of` the reply names the event that decided whether it was accepted.
    """
    listed = await permitted(reading, caller, ref, scope="tokens.read")
    own, tokens = is_own(caller, listed.token), (listed.token.id,)
    if query.as_of is None:
        document = listed_document(listed, await names(reading, caller, (listed.token.creator.id,)))
        if not own:
            reading.access_log.note(caller, "token", rows=1, tokens=tokens)
    else:
        document = await _past_document(reading, caller, listed, query.as_of)
        if not own:
            await reading.access_log.record(caller, "past", rows=1, tokens=tokens)
    return Tagged(document, document.revision)


@api.get("/v1/tokens/{ref}/events", scope="tokens.read")
async def list_events(reading: Reading, caller: Caller, *, ref: TokenRef, query: Query[EventQuery]) -> EventPage:
    """List the events of a token."""
    token = (await permitted(reading, caller, ref, scope="tokens.read")).token
    descending = query.sort == "-version"
    question: list[Any] = ["events", token.id, query.sort]
    after = reading.after(caller, question, query.cursor, tuple[int]) or (_LAST_VERSION if descending else 0,)
    facts = await events_of(
        reading.pool, token.account, token.id, after=after[0], limit=query.limit + 1, descending=descending
    )
    page, more = reading.page(caller, question, facts, limit=query.limit, place=lambda each: [each.version])
    if not is_own(caller, token):
        await reading.access_log.record(caller, "events", rows=len(page), tokens=(token.id,))
    known = await names(reading, caller, (fact.by.id for fact in page))
    return EventPage(items=[event_document(fact, known) for fact in page], next_cursor=more)


async def _past_document(reading: Reading, caller: Principal, listed: Listed, as_of: str) -> TokenDocument:
    token = listed.token
    at, version = await _moment(reading, listed, as_of)
    changes = await changes_until(reading.pool, token.account, token.id, at=at, version=version)
    user = token.owner.user
    owner = [] if user is None else await happened_until(reading.pool, token.account, user, "user", at)
    of_account = await happened_until(reading.pool, token.account, token.account, "account", at)
    then = past(changes, at, owner=owner, of_account=of_account)
    if then is None:
        raise NotFound("This token did not exist at that time.")
    known = await names(reading, caller, (token.creator.id, then.decided_by.by.id))
    document = token_document(then.token, at=at, context=then.context, last_used_at=None, known=known)
    # The log knows exchanges, not verifications: when a token was last used in the past, and how often, cannot be
    # derived from it.
    return replace(document, last_used_at=None, uses_left=None, as_of=_as_of(then, known))


def _as_of(then: Past, known: Names) -> AsOf:
    fact = then.decided_by
    subject = SubjectDocument(kind=fact.subject.kind, id=fact.subject.id)
    decision = event_document(fact, known)
    if subject.kind != "token":  # reasons about users are for callers who may read users
        decision = replace(decision, private=None)
    return AsOf(at=then.at, subject=subject, decided_by=decision)


async def _moment(reading: Reading, listed: Listed, as_of: str) -> tuple[datetime, int | None]:
    if _VERSION.fullmatch(as_of):
        version = int(as_of)
        at = await moment_of(reading.pool, listed.token.account, listed.token.id, version)
        if at is None:
            raise NotFound("The token has not reached this version yet.")
        return at, version
    named = moments.stated(as_of)
    if named is None:
        wrong = moments.zoneless(as_of)
        raise InvalidRequest(
            f"{wrong or f'Write a past time like {moments.EXAMPLE} or {moments.DATE_EXAMPLE}, or a version like 3'}.",
            where="query", field="as_of",
        )  # fmt: skip
    if in_utc(named, where="query", field="as_of") > listed.at:
        raise InvalidRequest("This time is in the future; state a past one.", where="query", field="as_of")
    return named, None
