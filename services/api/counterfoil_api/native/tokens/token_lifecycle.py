"""Changes of tokens: update, renew, suspend, resume and revoke them. No answer contains a secret."""

from msgspec import UNSET
from msgspec.structs import replace

from counterfoil.core.subjects.token.commands import Renew, Resume, Revoke, Suspend, TokenCommand, Update
from counterfoil.core.unit_of_work import AllOrNothing, Outcome
from counterfoil.documents.token_changes import Ending, Renewal, Resumption, Suspension, TokenChanges
from counterfoil.documents.tokens import TokenDocument
from counterfoil.postgres.listing import Listed
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.described import Undescribed, undescribed
from counterfoil_api.handling.writing import Writing
from counterfoil_api.native.tokens import children
from counterfoil_api.native.tokens.examples import CHANGES, RENEWAL, REVOCATION, SUSPENSION, TOKEN
from counterfoil_api.native.tokens.references import TokenRef, permitted
from counterfoil_api.native.tokens.showing import document_after, listed_document
from counterfoil_api.native.tokens.warnings import warned
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey, IfMatch
from counterfoil_api.operations.replies import Tagged
from counterfoil_api.operations.retries import Retry

api = Api("tokens", OURS)


@api.patch("/v1/tokens/{ref}", executes=(Update,), scope="tokens.update", example=CHANGES, example_reply=TOKEN)
async def update_token(
    writing: Writing, caller: Caller, *, ref: TokenRef, body: Body[TokenChanges], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[TokenDocument]:
    """Change a token's name, description, metadata, scopes, limits or trust.

    Scopes are replaced as a whole. The token must hold no more than the caller, before and after. Another `trust` ends
    the bearer tokens of the previous one; a token with a secret can have no trust.
    """
    listed = await permitted(writing.reading, caller, ref, scope="tokens.update")
    unlisted = None if body.scopes is UNSET else await undescribed(writing.reading, caller, body.scopes)
    command = Update(
        account=caller.account, id=listed.token.id, by=caller, revisions=if_match,
        name=body.name, description=body.description, scopes=body.scopes, metadata=body.metadata,
        undescribed=() if unlisted is None else unlisted.scopes, networks=body.networks, rate_limit=body.rate_limit,
        max_uses=body.max_uses, trust=UNSET if body.trust is UNSET else body.trust.trust,
    )  # fmt: skip
    return await _changed(writing, listed, command, key, unlisted=unlisted)


@api.post("/v1/tokens/{ref}/renew", executes=(Renew,), scope="tokens.renew", example=RENEWAL, example_reply=TOKEN)
async def renew_token(
    writing: Writing, caller: Caller, *, ref: TokenRef, body: Body[Renewal], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[TokenDocument]:
    """Change a token's expiry; its secret stays.

    With neither `lifetime` nor `expires_at` the token's own lifetime begins again now.
    """
    listed = await permitted(writing.reading, caller, ref, scope="tokens.renew")
    command = Renew(
        account=caller.account, id=listed.token.id, by=caller, revisions=if_match,
        lifetime=body.lifetime, expires_at=body.expires_at, keeps_lifetime=body.keeps_lifetime,
    )  # fmt: skip
    return await _changed(writing, listed, command, key)


@api.post(
    "/v1/tokens/{ref}/suspend", executes=(Suspend,), scope="tokens.suspend", example=SUSPENSION, example_reply=TOKEN
)
async def suspend_token(
    writing: Writing, caller: Caller, *, ref: TokenRef, body: Body[Suspension], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[TokenDocument]:
    """Refuse a token until it is resumed."""
    listed = await permitted(writing.reading, caller, ref, scope="tokens.suspend")
    command = Suspend(account=caller.account, id=listed.token.id, by=caller, revisions=if_match, reason=body.reason)
    return await _changed(writing, listed, command, key)


@api.post("/v1/tokens/{ref}/resume", executes=(Resume,), scope="tokens.resume", example_reply=TOKEN)
async def resume_token(
    writing: Writing, caller: Caller, *, ref: TokenRef, _: Body[Resumption], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[TokenDocument]:
    """Accept a suspended token again.

    `own.resume` allows this for a suspension with `own.suspend`; a suspension with `tokens.suspend` needs
    `tokens.resume`.
    """
    listed = await permitted(writing.reading, caller, ref, scope="tokens.resume")
    command = Resume(account=caller.account, id=listed.token.id, by=caller, revisions=if_match)
    return await _changed(writing, listed, command, key)


@api.post(
    "/v1/tokens/{ref}/revoke",
    instead_of=("DELETE /v1/tokens/{ref}",),
    scope="tokens.revoke",
    example=REVOCATION,
    example_reply=TOKEN,
)
async def revoke_token(
    writing: Writing, caller: Caller, *, ref: TokenRef, body: Body[Ending], if_match: IfMatch
) -> Tagged[TokenDocument]:
    """Revoke a token for ever, and with `with_children` all tokens that it created.

    From this answer on, this service refuses its secrets and their bearer tokens, also in introspection. Services that
    verify only signatures accept these bearer tokens until they expire. A second revocation changes nothing, not even
    the reason.

    The tokens that it created stay valid, and the reply counts them. With `with_children` a bulk revocation ends them,
    at any depth; a caller with `own.revoke` alone skips those of other owners. With `dry_run` nothing changes, and
    the reply says what would.
    """
    listed = await permitted(writing.reading, caller, ref, scope="tokens.revoke")
    command = Revoke(account=caller.account, id=listed.token.id, by=caller, revisions=if_match, reason=body.reason)
    creator = children.Creator(listed.token.id, f"token:{listed.token.number}")
    if body.dry_run:
        document, made = listed_document(listed), await children.preview(writing.reading, caller, creator, body)
    elif body.with_children:
        both, made = await children.end_with_children(writing.reading, caller, creator, body, command)
        document = (await _changed(writing, listed, both, None)).body
    else:
        document = (await _changed(writing, listed, command, None)).body
        made = await children.preview(writing.reading, caller, creator, body)
    return Tagged(replace(document, children=made), document.revision)


async def _changed(
    writing: Writing, before: Listed, command: TokenCommand | AllOrNothing, retry: Retry | None, *,
    unlisted: Undescribed | None = None,
) -> Tagged[TokenDocument]:  # fmt: skip
    def render(outcome: Outcome) -> TokenDocument:
        document = document_after(outcome, last_used_at=before.last_used_at)
        return document if unlisted is None else warned(document, unlisted)

    document = await writing.reply(command, retry, render, kind=TokenDocument, holds_secret=False)
    return Tagged(document, document.revision)
