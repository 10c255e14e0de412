"""Documents of tokens, events and alerts."""

import math
from datetime import datetime
from typing import Any

import msgspec

from counterfoil.core.events import Fact
from counterfoil.core.refusals import TokenSuspended
from counterfoil.core.subjects.token.acceptance import Context, good_until, refusal_for, status_at, used_up
from counterfoil.core.subjects.token.kind import acceptance_in
from counterfoil.core.subjects.token.secret_uses import SecretUses, quiet_since
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.trust import Trust
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.events import EventDocument
from counterfoil.documents.owners import OwnerDocument
from counterfoil.documents.rotations import NetworkDocument, PreviousSecretDocument
from counterfoil.documents.tokens import AlertDocument, DayOfUse, TokenDocument
from counterfoil.documents.trusts import TrustDocument
from counterfoil.postgres.alerts import RECENT, Alert
from counterfoil.postgres.grace_alerts import GraceAlert
from counterfoil.postgres.listing import Listed
from counterfoil_api.handling.actors import Names, actor_document, bare
from counterfoil_api.http.problems import kind_of


def token_document(
    token: Token, *, at: datetime, context: Context, last_used_at: datetime | None, known: Names | None = None
) -> TokenDocument:
    """Return the document of a token at this time and in this context; `known` has the names of creators."""
    denied = refusal_for(token, token.generation, at, context) or used_up(token.bounds, context)
    status = status_at(token, at, context)
    return TokenDocument(
        id=token.id,
        number=token.number,
        account=token.account,
        owner=OwnerDocument(token.owner.type, token.owner.id),
        creator=bare(token.creator) if known is None else actor_document(token.creator, known),
        name=token.name,
        description=token.description,
        scopes=token.scopes,
        effective_scopes=context.left_of(token.scopes),
        metadata=token.metadata,
        networks=token.networks,
        rate_limit=token.rate_limit,
        max_uses=token.max_uses,
        uses_left=None if token.max_uses is None else max(token.max_uses - context.used, 0),
        trust=_trust_document(token.trust),
        trust_by=None if token.trust_by is None else bare(token.trust_by),
        status=status,
        refused=kind_of(denied).name if denied else None,
        lifetime=token.lifetime,
        expires_at=token.expires_at,
        created_at=token.created_at,
        updated_at=token.updated_at,
        last_exchanged_at=token.last_exchanged_at,
        last_used_at=_later(last_used_at, token.last_exchanged_at),
        generation=token.generation,
        previous_secret_until=None if status == "revoked" else _still_to_come(token.previous_until, at),
        hint=token.hint,
        revision=token.revision,
        reason=token.reason,
        dialect=token.dialect,
    )


def _trust_document(trust: Trust | None) -> TrustDocument | None:
    if trust is None:
        return None
    return TrustDocument(issuer=trust.issuer, audience=trust.audience, claims=trust.claims, once=trust.once)


def listed_document(listed: Listed, known: Names | None = None) -> TokenDocument:
    return token_document(
        listed.token, at=listed.at, context=listed.context, last_used_at=listed.last_used_at, known=known
    )


def document_after(outcome: Outcome, *, last_used_at: datetime | None = None) -> TokenDocument:
    context = acceptance_in(outcome.context)
    return token_document(outcome.of(Token), at=outcome.at, context=context, last_used_at=last_used_at)


def event_document(fact: Fact, known: Names) -> EventDocument:
    """Return the document of an event, with the present name of its actor."""
    data: dict[str, Any] = msgspec.to_builtins(fact.event)
    private = data.pop("private", None) or None
    return EventDocument(
        version=fact.version, type=fact.type, at=fact.at, by=actor_document(fact.by, known), data=data, private=private
    )


def previous_secret_document(listed: Listed, uses: SecretUses) -> PreviousSecretDocument:
    """Return the document of the secret before the present one, with the networks that used it, the most used first."""
    token, generation = listed.token, listed.token.generation - 1
    denied = refusal_for(token, generation, listed.at, listed.context)
    ended = denied is not None and not isinstance(denied, TokenSuspended)
    whole = token.previous_until and token.grace_start and token.previous_until - token.grace_start
    since = quiet_since(listed.at, grace=whole or None)
    return PreviousSecretDocument(
        hint=token.previous_hint,
        good_until=None if ended else good_until(token, generation),
        uses=uses.previous,
        last_used_at=uses.previous_last_at,
        networks=tuple(
            NetworkDocument(
                network=each.network,
                uses=each.previous,
                last_used_at=each.previous_last_at,
                moved=each.has_moved(since),
            )
            for each in uses.networks
            if each.previous
        ),
    )


def grace_alert_document(alert: GraceAlert) -> AlertDocument:
    listed = alert.listed
    return AlertDocument(
        kind="grace_ending",
        at=alert.at,
        threshold_seconds=alert.threshold,
        left_seconds=math.floor((alert.ends_at - listed.at).total_seconds()),
        recent_uses=alert.recent_uses,
        uses_per_day=round(alert.recent_uses / RECENT.days, 2),
        uses_by_day=tuple(DayOfUse(day=day, uses=uses) for day, uses in alert.uses_by_day),
        owner_status=_owner_status(listed.context),
        token=listed_document(listed),
        previous_secret=previous_secret_document(listed, alert.uses),
    )


def alert_document(alert: Alert) -> AlertDocument:
    listed, expires_at = alert.listed, alert.expires_at
    return AlertDocument(
        kind="expiring" if expires_at > listed.at else "expired",
        at=alert.at,
        threshold_seconds=alert.threshold,
        left_seconds=math.floor((expires_at - listed.at).total_seconds()),
        recent_uses=alert.recent_uses,
        uses_per_day=round(alert.recent_uses / RECENT.days, 2),
        uses_by_day=tuple(DayOfUse(day=day, uses=uses) for day, uses in alert.uses_by_day),
        owner_status=_owner_status(listed.context),
        token=listed_document(listed),
    )


def _owner_status(context: Context) -> str:
    if context.owner_holds is None:  # no user of ours
        return "unknown"
    return "active" if context.owner == "active" else "disabled"


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _still_to_come(moment: datetime | None, at: datetime) -> datetime | None:
    return moment if moment is not None and moment > at else None
