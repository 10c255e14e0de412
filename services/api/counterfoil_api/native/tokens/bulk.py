"""Bulk revocations: plan, request, list, read and cancel them."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from counterfoil.core.credentials import is_id
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadReference, BadText, NotFound, PlanChanged
from counterfoil.core.subjects.bulk_revocation import (
    AcceptBulkRevocation,
    BulkRevocation,
    CancelBulkRevocation,
    Children,
)
from counterfoil.core.subjects.scope_catalogue import named
from counterfoil.core.text import checked_reason
from counterfoil.documents.bulk_revocations import BulkRevocationDocument, BulkRevocationPage, PlanDocument
from counterfoil.documents.token_changes import Resumption
from counterfoil.door.batch import recall
from counterfoil.idempotency import claim
from counterfoil.postgres.bulk_revocations import bulk_revocation_by_id, latest_bulk_revocations, progress
from counterfoil.postgres.descent import LONGEST_SECONDS
from counterfoil.postgres.listing import Filter
from counterfoil.postgres.selection import look, stage
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller, is_for, reach
from counterfoil_api.handling.reading import PageQuery, Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.native.tokens.bulk_requests import (
    LEAKED,
    REQUEST,
    BulkRevocationRef,
    PlanRequest,
    RevocationRequest,
    Selection,
)
from counterfoil_api.native.tokens.bulk_showing import bulk_revocation_document, plan_document
from counterfoil_api.native.tokens.filters import requested_filter
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey, IfMatch, Query
from counterfoil_api.operations.replies import Made, Tagged
from counterfoil_api.operations.retries import Retry

api = Api("bulk revocation", OURS)

_PATIENCE_SECONDS: Final = LONGEST_SECONDS + 10.0
_SCOPE: Final = "tokens.revoke"


@api.post(
    "/v1/revocations/plan",
    scope=_SCOPE,
    refusals=(BadText,),
    example=PlanRequest(filter=LEAKED),
    patience_seconds=_PATIENCE_SECONDS,
    only_reads=True,
)
async def plan_revocation(reading: Reading, caller: Caller, *, body: Body[PlanRequest]) -> PlanDocument:
    """Show what a bulk revocation would revoke, and what would break; nothing changes.

    The returned plan stands for exactly these tokens with their current secrets. It changes when a token is added,
    removed or rotated, or when the filter matches other tokens; not when one is used, renamed, suspended or renewed.
    With `with_children` it includes the tokens that these created, at any depth; those of owners that the caller may
    not revoke for are counted and skipped.
    """
    wanted, children = await _selected(reading, caller, body.filter), _children(caller, body.filter)
    async with reading.turn():
        found = await look(reading.pool, caller.account, wanted, itself=caller.actor.id, children=children)
    if not is_for(caller, reach(caller, _SCOPE)):
        reading.access_log.note(caller, "list", rows=len(found.used_last))
    return plan_document(found)


@api.post(
    "/v1/revocations",
    executes=(AcceptBulkRevocation,),
    instead_of=("DELETE /v1/tokens",),
    scope=_SCOPE,
    refusals=(PlanChanged,),
    example=REQUEST,
    patience_seconds=_PATIENCE_SECONDS,
)
async def revoke_many(
    writing: Writing, caller: Caller, *, body: Body[RevocationRequest], key: IdempotencyKey
) -> Made[BulkRevocationDocument]:
    """Let a bulk revocation revoke all tokens of a plan, if the plan is still the same.

    Once accepted, it runs to its end, whatever happens to processes or to the caller. Each token's events name it and
    the reason. With `with_children` it also revokes what these tokens create in the meantime, and ends when nothing
    is left.
    """
    reading = writing.reading
    wanted, children = await _selected(reading, caller, body.filter), _children(caller, body.filter)
    revocation_id = await _revocation_id(writing, caller, key)
    revocation = None if key is None else await bulk_revocation_by_id(reading.pool, caller.account, revocation_id)
    if revocation is None:
        command, _ = await staged(
            reading, caller, wanted, children, revocation_id=revocation_id, reason=body.reason, plan=body.plan
        )
        await writing.reply(command, key, lambda accepted: accepted.subject, kind=UUID, holds_secret=False)
        revocation = await _permitted(reading, caller, str(revocation_id))
    elif key is not None:
        key.replayed = True
    return Made(await _document_of(reading, revocation), revocation.revision, f"/v1/revocations/{revocation.id}")


@api.get("/v1/revocations", scope=_SCOPE)
async def list_revocations(reading: Reading, caller: Caller, *, query: Query[PageQuery]) -> BulkRevocationPage:
    """List bulk revocations, the latest first; a caller with `own.revoke` alone sees the ones that they requested."""
    creator = None if reach(caller, _SCOPE) is None else caller.actor.id
    before = reading.after(caller, "revocations", query.cursor, tuple[datetime, UUID])
    found = await latest_bulk_revocations(
        reading.pool, caller.account, creator=creator, before=before, limit=query.limit + 1
    )
    page, more = reading.page(
        caller, "revocations", found, limit=query.limit, place=lambda each: [each.created_at, each.id]
    )
    return BulkRevocationPage(items=[await _document_of(reading, revocation) for revocation in page], next_cursor=more)


@api.get("/v1/revocations/{revocation}", scope=_SCOPE, refusals=(NotFound, BadReference))
async def get_revocation(
    reading: Reading, caller: Caller, *, revocation: BulkRevocationRef
) -> Tagged[BulkRevocationDocument]:
    """Read the progress of a bulk revocation."""
    found = await _permitted(reading, caller, revocation)
    return Tagged(await _document_of(reading, found), found.revision)


@api.post(
    "/v1/revocations/{revocation}/cancel",
    instead_of=("DELETE /v1/revocations/{revocation}",),
    scope=_SCOPE,
    refusals=(NotFound, BadReference),
)
async def cancel_revocation(
    writing: Writing, caller: Caller, *, revocation: BulkRevocationRef, _: Body[Resumption], if_match: IfMatch
) -> Tagged[BulkRevocationDocument]:
    """Cancel a bulk revocation: the remaining tokens stay valid, revoked ones stay revoked.

    A worker still revokes its current batch of some hundred tokens. A finished bulk revocation does not change.
    """
    found = await _permitted(writing.reading, caller, revocation)
    command = CancelBulkRevocation(account=caller.account, id=found.id, by=caller, revisions=if_match)
    found = (await writing.execute(command)).of(BulkRevocation)
    return Tagged(await _document_of(writing.reading, found), found.revision)


async def _selected(reading: Reading, caller: Principal, given: Selection) -> Filter:
    wanted = await requested_filter(reading, caller, given, scope=_SCOPE, where="body")
    if given.empty != given.everything:
        raise InvalidRequest(
            "Name the tokens by filters such as owner, or set `everything`, but not both.", where="body", field="filter"
        )
    return wanted


def _children(caller: Principal, given: Selection) -> Children | None:
    return Children(owner=reach(caller, _SCOPE)) if given.with_children else None


async def _revocation_id(writing: Writing, caller: Principal, key: Retry | None) -> UUID:
    """Return the bulk revocation's id: the same for retries under an Idempotency-Key, otherwise a new one.

    Another request under the same key raises KeyReused before any scan, and its bulk revocation would have another id.
    """
    if key is None:
        return uuid7()
    claimed = claim(writing.peppers, caller, key.key, request=key.request, holds_secret=False)
    await recall(writing.reading.pool, claimed)
    return named(caller.account, "bulk_revocation", (claimed.key_digest + claimed.body_digest).hex())


async def staged(
    reading: Reading, caller: Principal, wanted: Filter, children: Children | None, *, revocation_id: UUID, reason: str,
    plan: str | None = None,
) -> tuple[AcceptBulkRevocation, int]:  # fmt: skip
    """Stage the tokens of a bulk revocation; return the command that accepts it, and how many tokens it skips.

    Raises PlanChanged if the tokens are not those of the plan.
    """
    reason, digest = checked_reason(reason), None if plan is None else bytes.fromhex(plan)
    async with reading.turn():
        found = await stage(
            reading.pool, caller.account, wanted, revocation=revocation_id, digest=digest, children=children
        )
    if digest not in (None, found.digest):
        raise PlanChanged(tokens=found.tokens, plan=found.digest.hex())
    command = AcceptBulkRevocation(
        account=caller.account, id=revocation_id, by=caller, plan=found.digest.hex(), reason=reason, total=found.tokens,
        filter=msgspec.to_builtins(wanted), children=children,
    )  # fmt: skip
    return command, found.left_alone


async def _permitted(reading: Reading, caller: Principal, ref: str) -> BulkRevocation:
    within = reach(caller, _SCOPE)
    if not is_id(ref):
        raise BadReference("Name a bulk revocation by its id, such as 01a20070-9783-75f2-ab79-af3b16925535.")
    revocation = await bulk_revocation_by_id(reading.pool, caller.account, UUID(ref))
    if revocation is None or (within is not None and revocation.creator != caller.actor):
        raise NotFound
    return revocation


async def _document_of(reading: Reading, revocation: BulkRevocation) -> BulkRevocationDocument:
    return bulk_revocation_document(revocation, await progress(reading.pool, revocation))
