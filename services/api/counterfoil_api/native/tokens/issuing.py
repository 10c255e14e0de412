"""New secrets: create, clone and rotate; each secret is in one reply only."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from counterfoil.core.credentials import SecretGiven
from counterfoil.core.duration import seconds
from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.refusals import BadDuration, BeyondCaller, NotFound, SecretRetired, UnknownUser
from counterfoil.core.subjects.token.acceptance import refusal_for
from counterfoil.core.subjects.token.commands import Create, Rotate
from counterfoil.core.subjects.token.events import Rotated
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.owners import OwnerGiven
from counterfoil.documents.token_changes import Copy, NewToken, Rotation
from counterfoil.documents.tokens import Issued
from counterfoil.door.batch import recall
from counterfoil.idempotency import claim
from counterfoil.uses.issue import Wish
from counterfoil.uses.verify import Verifying, find, refuse_networks
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.credentials import PresentedCredentials
from counterfoil_api.auth.principals import Caller, reach
from counterfoil_api.handling.described import undescribed
from counterfoil_api.handling.issuing import Issuing, NewSecret
from counterfoil_api.handling.reading import Reading
from counterfoil_api.limits.callers import Callers
from counterfoil_api.native.account.catalogue import expanded
from counterfoil_api.native.tokens.examples import ISSUED, NEW_TOKEN, ROTATION
from counterfoil_api.native.tokens.references import TokenRef, permitted
from counterfoil_api.native.tokens.showing import document_after
from counterfoil_api.native.tokens.warnings import warned
from counterfoil_api.native.users.references import named_owner
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, IdempotencyKey, IfMatch, Presented
from counterfoil_api.operations.refusals import SECRET_REPLY
from counterfoil_api.operations.replies import Made, Tagged
from counterfoil_api.operations.retries import Retry

api = Api("tokens", OURS)

_COPIED = ("description", "scopes", "metadata", "networks", "rate_limit", "max_uses")
"""What a clone has from its original unless the request states it."""


@api.post(
    "/v1/tokens",
    executes=(Create,),
    scope="tokens.create",
    refusals=SECRET_REPLY,
    example=NEW_TOKEN,
    example_reply=ISSUED,
)
async def create_token(issuing: Issuing, caller: Caller, *, body: Body[NewToken], key: IdempotencyKey) -> Made[Issued]:
    """Issue a token.

    Only this reply shows its secret. A token has no more scopes, and no longer a lifetime, than its issuer. Without
    `owner` it acts on behalf of its issuer's owner. Name a user, who must exist, by id, number or e-mail address.
    With a `trust` it has no secret: /v1/oauth/token exchanges JWTs of the trusted issuer for bearers.
    """
    owner = await _owner(issuing.reading, caller, body.owner)
    scopes = await expanded(issuing.reading, caller, body.scopes, body.scope_sets)
    wish = Wish(
        name=body.name, owner=owner, description=body.description, scopes=scopes, metadata=body.metadata,
        networks=body.networks, rate_limit=body.rate_limit, max_uses=body.max_uses,
        trust=None if body.trust is None else body.trust.trust, lifetime=body.lifetime, expires_at=body.expires_at,
    )  # fmt: skip
    return await _made(issuing, caller, wish, key)


@api.post(
    "/v1/tokens/{ref}/clone",
    executes=(Create,),
    scope="tokens.create",
    refusals=SECRET_REPLY,
    example=Copy(name="nightly-backup-2"),
    example_reply=ISSUED,
)
async def clone_token(
    issuing: Issuing, caller: Caller, *, ref: TokenRef, body: Body[Copy], key: IdempotencyKey
) -> Made[Issued]:
    """Issue another token like this one.

    The copy differs in what the body states. It has the lifetime of the original; if the original has an expiry without
    a lifetime, it has the same expiry.
    """
    reach(caller, "tokens.create")
    original = (await permitted(issuing.reading, caller, ref, scope="tokens.read")).token
    given = OwnerGiven(type=original.owner.type, id=original.owner.id) if body.owner is UNSET else body.owner
    owner = await _owner(issuing.reading, caller, given)
    lifetime, expires_at = _lifetime_like(original, body)
    copied = {name: getattr(original if getattr(body, name) is UNSET else body, name) for name in _COPIED}
    wish = Wish(
        **copied, name=(original.name or "") if body.name is UNSET else body.name, owner=owner, trust=original.trust,
        lifetime=lifetime, expires_at=expires_at, cloned_from=original.id,
    )  # fmt: skip
    return await _made(issuing, caller, wish, key)


@api.post(
    "/v1/tokens/{ref}/rotate",
    executes=(Rotate,),
    scope="tokens.rotate",
    refusals=SECRET_REPLY,
    example=ROTATION,
    example_reply=ISSUED,
)
async def rotate_token(
    callers: Callers, issuing: Issuing, presented: Presented[PresentedCredentials], *, ref: TokenRef,
    body: Body[Rotation], if_match: IfMatch, key: IdempotencyKey,
) -> Tagged[Issued]:  # fmt: skip
    """Replace a token's secret.

    `grace` says how long the previous secret stays good; `0s` ends it, and the bearers issued for it, at once.
    At most two secrets are good at a time: to cut an earlier grace short, state `ends_previous`.
    The lifetime stays as it is. An expired token needs a new one, and its previous secret stays dead. A token may
    rotate itself: if the reply is lost, its old secret still gets the same reply under the same Idempotency-Key.
    """
    try:
        caller = await callers.authenticate(presented)
    except SecretRetired:
        issued = await _recalled(issuing.reading, callers.verifying, presented, key)
        return Tagged(issued, issued.token.revision)
    listed = await permitted(issuing.reading, caller, ref, scope="tokens.rotate")
    new_secret = NewSecret(
        grace_seconds=_grace_seconds(body.grace), ends_previous=body.ends_previous, lifetime=body.lifetime,
        expires_at=body.expires_at, revisions=if_match,
    )  # fmt: skip

    def render(outcome: Outcome, secret: str) -> Issued:
        document = document_after(outcome, last_used_at=listed.last_used_at)
        return Issued(token=document, secret=secret, ended_early=_ended_early(outcome))

    issued = await issuing.rotate(caller, listed.token, key, render, kind=Issued, new_secret=new_secret)
    return Tagged(issued, issued.token.revision)


def _grace_seconds(text: str) -> int:
    try:
        return seconds(text)
    except BadDuration:
        raise BadDuration(
            f"{text!r} is not how long the previous secret stays good; state a duration such as 24h, or 0s for none.",
            field="grace",
        ) from None


def _ended_early(outcome: Outcome) -> datetime | UnsetType:
    event = outcome.facts[-1].event
    return event.ended_early if isinstance(event, Rotated) else UNSET


async def _made(issuing: Issuing, caller: Principal, wish: Wish, retry: Retry | None) -> Made[Issued]:
    unlisted = await undescribed(issuing.reading, caller, wish.scopes)

    def render(outcome: Outcome, secret: str) -> Issued:
        return Issued(token=warned(document_after(outcome), unlisted), secret=secret)

    issued = await issuing.issue(caller, wish, retry, render, kind=Issued, unlisted=unlisted)
    return Made(issued, issued.token.revision, f"/v1/tokens/{issued.token.id}")


async def _recalled(
    reading: Reading, verifying: Verifying, presented: PresentedCredentials, retry: Retry | None
) -> Issued:
    """Return the reply to the rotation that retired this secret, if the secret made it; otherwise it stays retired."""
    given = presented.credentials
    if not isinstance(given, SecretGiven) or retry is None:
        raise SecretRetired
    found = await find(verifying, given, despite=(SecretRetired,), used_from=None)
    if found is None:
        raise SecretRetired
    await refuse_networks(verifying, found, presented.address)
    seen = found.seen
    if refusal_for(seen, seen.generation, seen.at, seen.context):  # the secret in that reply is not good now
        raise SecretRetired
    caller = Principal(actor=Actor("token", seen.id), account=seen.account, scopes=seen.scopes)
    claimed = claim(verifying.peppers, caller, retry.key, request=retry.request, holds_secret=True)
    outcome = await recall(reading.pool, claimed)
    if outcome is None or outcome.reply is None:
        raise SecretRetired
    retry.replayed = True
    issued = msgspec.json.decode(outcome.reply, type=Issued)
    # Only its own rotation: this secret cannot have made one of another token, or a later one.
    if (issued.token.id, issued.token.generation) != (seen.id, found.generation + 1):
        raise SecretRetired
    return issued


def _lifetime_like(original: Token, body: Copy) -> tuple[str | None, datetime | None]:
    if body.lifetime is not None or body.expires_at is not None:
        return body.lifetime, body.expires_at
    return (original.lifetime, None) if original.lifetime is not None else (None, original.expires_at)


async def _owner(reading: Reading, caller: Principal, given: OwnerGiven | None) -> Owner:
    """Return the owner of the new token; a caller that issues for its own owner only learns of no others."""
    within = reach(caller, "tokens.create")
    owner = caller.owner if given is None else await named_owner(reading, caller, given)
    if within is not None and owner != within:
        raise BeyondCaller("This caller may issue tokens for its own owner alone; leave the owner out.")
    if owner is None:
        raise NotFound if given is None else UnknownUser(field="owner.id")
    return owner
