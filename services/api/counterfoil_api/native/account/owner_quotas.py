"""Quotas of owners: limits of the uses and of the number of all tokens of an owner."""

from typing import Annotated
from uuid import UUID

import msgspec

from counterfoil.core.owners import checked_owner
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import BadOwner, BadReference, NotFound, Refuses, UnknownUser
from counterfoil.core.subjects.owner_quota import QuotaOfOwner, RemoveQuota, SetQuota
from counterfoil.core.subjects.scope_catalogue import named
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.owner_quotas import QuotaDocument, QuotaGiven, QuotaPage
from counterfoil.documents.owners import OwnerDocument, OwnerGiven
from counterfoil.postgres import owner_quotas as sql
from counterfoil.postgres.scope_catalogue import those
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.reading import PageQuery, Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.native.users.references import named_owner
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IfMatch, Query, path_type
from counterfoil_api.operations.replies import Tagged

api = Api("owners", OURS)

KIND = "owner_quota"
OwnerType = Annotated[str, path_type("What the owner is.", "^(user|application|service)$", "service")]
OwnerId = Annotated[
    str,
    path_type("The owner's id; for a user also the number or the e-mail address.", "^[^/]{1,255}$", "billing"),
    Refuses((BadReference, BadOwner, UnknownUser)),
]


@api.get("/v1/owner-quotas", needs="account.read")
async def list_owner_quotas(reading: Reading, caller: Caller, *, query: Query[PageQuery]) -> QuotaPage:
    """List the quotas of owners, by the owner's type and id."""
    page, more = await reading.page_by_name(caller, (KIND, QuotaOfOwner), query)
    return QuotaPage(items=await _documents(reading, page), next_cursor=more)


@api.get("/v1/owners/{owner_type}/{owner_id}/quota", needs="account.read", refusals=(NotFound,))
async def get_owner_quota(
    reading: Reading, caller: Caller, *, owner_type: OwnerType, owner_id: OwnerId
) -> Tagged[QuotaDocument]:
    """Read an owner's quota."""
    owner = await _owner(reading, caller, owner_type, owner_id)
    found = await those(reading.pool, caller.account, [_subject(caller, owner)], QuotaOfOwner)
    if not found:
        raise NotFound("This owner has no quota.")
    (document,) = await _documents(reading, found)
    return Tagged(document, document.revision)


@api.put(
    "/v1/owners/{owner_type}/{owner_id}/quota",
    executes=(SetQuota,),
    instead_of=("POST /v1/owners/{owner_type}/{owner_id}/quota", "PATCH /v1/owners/{owner_type}/{owner_id}/quota"),
    needs="account.update",
    example=QuotaGiven(rate_limit="6000/1m", max_tokens=20),
)
async def set_owner_quota(
    writing: Writing, caller: Caller, *, owner_type: OwnerType, owner_id: OwnerId, body: Body[QuotaGiven],
    if_match: IfMatch,
) -> Tagged[QuotaDocument]:  # fmt: skip
    """Set an owner's quota, in place of an earlier one.

    `rate_limit` and `max_uses` count the uses of all the owner's tokens and their bearer tokens together, in addition
    to the limits of each token. `max_tokens` limits how many are valid: one more is neither issued, cloned nor
    imported, and no expired one is renewed (409 `owner-quota-exceeded`). Tokens beyond a new quota stay valid. Logins
    are sessions, and do not count; nor do requests with a user's password.
    """
    owner = await _owner(writing.reading, caller, owner_type, owner_id)
    command = SetQuota(
        account=caller.account, id=_subject(caller, owner), by=caller, revisions=if_match, owner=owner,
        rate_limit=body.rate_limit, max_uses=body.max_uses, max_tokens=body.max_tokens,
    )  # fmt: skip
    return await _reply(writing.reading, await writing.execute(command))


@api.delete("/v1/owners/{owner_type}/{owner_id}/quota", executes=(RemoveQuota,), needs="account.update")
async def remove_owner_quota(
    writing: Writing, caller: Caller, *, owner_type: OwnerType, owner_id: OwnerId, if_match: IfMatch
) -> Tagged[QuotaDocument]:
    """Remove an owner's quota. A later quota with `max_uses` includes the uses counted so far."""
    owner = await _owner(writing.reading, caller, owner_type, owner_id)
    command = RemoveQuota(
        account=caller.account, id=_subject(caller, owner), by=caller, revisions=if_match, owner=owner
    )
    return await _reply(writing.reading, await writing.execute(command))


async def _owner(reading: Reading, caller: Principal, kind: str, given: str) -> Owner:
    try:
        stated = msgspec.convert({"type": kind, "id": given}, OwnerGiven)
    except msgspec.ValidationError:
        raise BadOwner("An owner is a user, an application or a service.", field="owner_type") from None
    owner = await named_owner(reading, caller, stated)
    if owner is None:
        raise UnknownUser(field="owner_id")
    return checked_owner(owner)


def _subject(caller: Principal, owner: Owner) -> UUID:
    return named(caller.account, KIND, f"{owner.type}:{owner.id}")


async def _reply(reading: Reading, outcome: Outcome) -> Tagged[QuotaDocument]:
    (document,) = await _documents(reading, [outcome.of(QuotaOfOwner)])
    return Tagged(document, document.revision)


async def _documents(reading: Reading, states: list[QuotaOfOwner]) -> list[QuotaDocument]:
    if not states:
        return []
    account = states[0].account
    taken = await sql.taken(reading.pool, account, {state.id: state.owner for state in states})
    return [_document(state, *taken[state.id]) for state in states]


def _document(state: QuotaOfOwner, live: int, made: int) -> QuotaDocument:
    return QuotaDocument(
        owner=OwnerDocument(state.owner.type, state.owner.id),
        rate_limit=state.rate_limit,
        max_uses=state.max_uses,
        uses_left=None if state.max_uses is None else max(state.max_uses - made, 0),
        max_tokens=state.max_tokens,
        tokens=live,
        created_at=state.created_at,
        updated_at=state.updated_at,
        revision=state.revision,
    )
