"""The grace after a rotation: who still uses the previous secret, and whether it ends now or later."""

from datetime import datetime

from counterfoil.core.duration import seconds
from counterfoil.core.refusals import BadDuration
from counterfoil.core.subjects.token.commands import ConfirmRotation, ExtendGrace, TokenCommand
from counterfoil.core.subjects.token.state import Token
from counterfoil.documents.rotations import NewSecretDocument, RotationDocument
from counterfoil.documents.token_changes import Confirmation, GraceExtension
from counterfoil.documents.tokens import TokenDocument
from counterfoil.postgres.listing import Listed
from counterfoil.postgres.rotation_uses import RotationState, rotation_of
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller, is_own
from counterfoil_api.handling.reading import Reading
from counterfoil_api.handling.writing import Writing
from counterfoil_api.native.tokens.examples import CONFIRMATION, EXTENSION, TOKEN
from counterfoil_api.native.tokens.references import TokenRef, permitted
from counterfoil_api.native.tokens.showing import document_after, previous_secret_document
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey, IfMatch
from counterfoil_api.operations.replies import Tagged
from counterfoil_api.operations.retries import Retry

api = Api("tokens", OURS)


@api.get("/v1/tokens/{ref}/rotation", scope="tokens.read")
async def get_rotation(reading: Reading, caller: Caller, *, ref: TokenRef) -> Tagged[RotationDocument]:
    """Read who still uses the previous secret since the last rotation, and whether the new one was used.

    While the previous secret is accepted, uses of both are counted by network, and written once a second. A bearer
    counts as a use of the secret that it was issued for.
    """
    listed = await permitted(reading, caller, ref, scope="tokens.read")
    state = await rotation_of(reading.pool, listed.token)
    if not is_own(caller, listed.token):
        reading.access_log.note(caller, "token", rows=1, tokens=(listed.token.id,))
    return Tagged(_document(listed, state), listed.token.revision)


@api.post(
    "/v1/tokens/{ref}/rotation/confirm",
    executes=(ConfirmRotation,),
    scope="tokens.rotate",
    example=CONFIRMATION,
    example_reply=TOKEN,
)
async def confirm_rotation(
    writing: Writing, caller: Caller, *, ref: TokenRef, body: Body[Confirmation], if_match: IfMatch, key: IdempotencyKey
) -> Tagged[TokenDocument]:
    """End the previous secret, and the bearers issued for it, now.

    Refused while the new secret was never used, since the previous one may be the only one that works; state
    `even_if_unused` to end it all the same. If the previous secret has ended, nothing changes.
    """
    listed = await permitted(writing.reading, caller, ref, scope="tokens.rotate")
    command = ConfirmRotation(
        account=caller.account,
        id=listed.token.id,
        by=caller,
        revisions=if_match,
        even_if_unused=body.even_if_unused,
    )
    return await _changed(writing, listed, command, key)


@api.post(
    "/v1/tokens/{ref}/rotation/extend",
    executes=(ExtendGrace,),
    scope="tokens.rotate",
    example=EXTENSION,
    example_reply=TOKEN,
)
async def extend_grace(
    writing: Writing,
    caller: Caller,
    *,
    ref: TokenRef,
    body: Body[GraceExtension],
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Tagged[TokenDocument]:
    """Accept the previous secret for longer than its present grace.

    `grace` counts from now. A previous secret is accepted for at most 366 days after the rotation, never longer than
    its token, and one that has ended stays so.
    """
    listed = await permitted(writing.reading, caller, ref, scope="tokens.rotate")
    command = ExtendGrace(
        account=caller.account,
        id=listed.token.id,
        by=caller,
        revisions=if_match,
        grace_seconds=_grace_seconds(body.grace),
    )
    return await _changed(writing, listed, command, key)


async def _changed(
    writing: Writing, before: Listed, command: TokenCommand, retry: Retry | None
) -> Tagged[TokenDocument]:
    document = await writing.reply(
        command,
        retry,
        lambda outcome: document_after(outcome, last_used_at=before.last_used_at),
        kind=TokenDocument,
        holds_secret=False,
    )
    return Tagged(document, document.revision)


def _grace_seconds(text: str) -> int:
    try:
        return seconds(text)
    except BadDuration:
        raise BadDuration(
            f"{text!r} is not how long the previous secret stays good; state a duration such as 24h.", field="grace"
        ) from None


def _document(listed: Listed, state: RotationState) -> RotationDocument:
    token = listed.token
    used_at = _new_secret_used_at(token, state, listed.at)
    return RotationDocument(
        rotated_at=token.rotated_at,
        generation=token.generation,
        previous=None if token.rotated_at is None else previous_secret_document(listed, state.uses),
        present=NewSecretDocument(hint=token.hint, used=used_at is not None, last_used_at=used_at),
    )


def _new_secret_used_at(token: Token, state: RotationState, at: datetime) -> datetime | None:
    """Return when the present secret was last used.

    During the grace only what a confirmation depends on counts: uses by network, which are written by themselves.
    """
    moments = [state.uses.present_last_at]
    ended = token.previous_until or token.grace_start or token.created_at
    if ended <= at:
        moments.append(state.verified_at)
        if token.last_exchanged_at is not None and token.last_exchanged_at >= ended:
            moments.append(token.last_exchanged_at)
    return max((moment for moment in moments if moment is not None), default=None)
