"""Tokens and alerts as callers read them."""

from datetime import date, datetime
from typing import Annotated, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.subjects.token.acceptance import Status
from counterfoil.documents.events import ActorDocument, EventDocument, SubjectDocument
from counterfoil.documents.fields import Page, Private, one_of
from counterfoil.documents.owners import OwnerDocument
from counterfoil.documents.rotations import PreviousSecretDocument
from counterfoil.documents.trusts import TrustDocument


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """The past moment that a token is shown at, and the event that decided its status then.

    `subject` is the token, or the user who owned it, or its account.
    """

    at: datetime
    subject: SubjectDocument
    decided_by: EventDocument


class WarningDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A warning about a request that succeeded; a code never changes its meaning."""

    code: Annotated[str, one_of("never-expires", "scopes-undescribed")]
    detail: str


class TokenPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """One of the tokens that would be revoked."""

    id: UUID
    number: int
    name: str | None
    owner: OwnerDocument
    last_used_at: datetime | None


class ChildrenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens that a token or a user made, in the reply that revokes or removes it.

    Without `with_children`: how many of them stay, and the list of them. With it: how many are revoked at any depth,
    how many the caller may not revoke, and the bulk revocation that does it.
    """

    living: Annotated[int | UnsetType, Meta(description="Not revoked, and accepted as before.")] = UNSET
    list: Annotated[str | UnsetType, Meta(examples=["/v1/tokens?creator=token:7"])] = UNSET
    ending: Annotated[
        int | UnsetType, Meta(description="Found until now; tokens that are made meanwhile are revoked as well.")
    ] = UNSET
    left_alone: Annotated[
        int | UnsetType, Meta(description="They belong to owners whose tokens the caller may not revoke.")
    ] = UNSET
    sample: Annotated[
        tuple[TokenPlanned, ...] | UnsetType, Meta(description="Twenty at most, in a dry run: those used last.")
    ] = UNSET
    revocation: Annotated[UUID | UnsetType, Meta(description="See `/v1/revocations/{revocation}`.")] = UNSET


class TokenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A token, never with its secret."""

    id: UUID
    number: int
    account: UUID
    owner: OwnerDocument
    creator: ActorDocument
    name: str | None
    description: str
    scopes: tuple[str, ...]
    effective_scopes: Annotated[
        tuple[str, ...], Meta(description="The scopes that count now: none that the user who owns it lacks.")
    ]
    metadata: dict[str, str]
    networks: Annotated[tuple[str, ...], Meta(description="The networks to use it from; no network means anywhere.")]
    rate_limit: Annotated[str | None, Meta(description="How often it may be used; null means any number.")]
    max_uses: Annotated[int | None, Meta(description="How often it may be used in total; null means any number.")]
    uses_left: Annotated[int | None, Meta(description="What is left of `max_uses`; null for a past moment.")]
    trust: Annotated[
        TrustDocument | None,
        Meta(description="The issuer of the JWTs that authenticate it; null for a token with a secret."),
    ]
    trust_by: Annotated[
        ActorDocument | None,
        Meta(description="The actor that last stated the trust or its scopes; bearers have only scopes of this actor."),
    ]
    status: Annotated[str, one_of(*get_args(Status))]
    refused: Annotated[
        str | None, Meta(description="The problem type with which its secret is refused now; null if it is accepted.")
    ]
    lifetime: str | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_exchanged_at: datetime | None
    last_used_at: Annotated[datetime | None, Meta(description="Exact to the second; null for a past moment.")]
    generation: int
    previous_secret_until: datetime | None
    hint: Annotated[str, Meta(description="How its secret begins; empty for a token with a trust.")]
    revision: int
    reason: str | None
    dialect: str
    as_of: Annotated[AsOf | UnsetType, Meta(description="Only for a past moment; last uses are null then.")] = UNSET
    warnings: Annotated[
        tuple[WarningDocument, ...] | UnsetType, Meta(description="In the reply that issues it or changes its scopes.")
    ] = UNSET
    children: Annotated[ChildrenDocument | UnsetType, Meta(description="In the reply that revokes it.")] = UNSET


class Issued(Private, frozen=True, kw_only=True, omit_defaults=True):
    """A token with its new secret, which is shown once; a token with a trust has none."""

    token: TokenDocument
    secret: Annotated[str, Meta(description="Missing if JWTs open the token.")] = ""
    ended_early: Annotated[
        datetime | UnsetType,
        Meta(description="When a secret from an earlier grace, which this rotation ended, would have ended by itself."),
    ] = UNSET


class TokenPage(Page[TokenDocument], frozen=True, kw_only=True):
    """A page of tokens."""


class DayOfUse(msgspec.Struct, frozen=True, kw_only=True):
    """A day in UTC, and how often the token was verified on it."""

    day: date
    uses: int


class AlertDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A token that expires soon or has expired, or whose previous secret ends while it is still in use.

    `at` and `threshold_seconds` are null if no notice was raised; a notice is raised only of longer lifetimes.
    """

    kind: Annotated[str, one_of("expiring", "expired", "grace_ending")]
    at: Annotated[datetime | None, Meta(description="When the notice was raised.")]
    threshold_seconds: Annotated[int | None, Meta(description="The threshold of the notice; 0 is the expiry.")]
    left_seconds: Annotated[
        int, Meta(description="Until the expiry, negative after it; or until the end of the grace.")
    ]
    recent_uses: Annotated[
        int, Meta(description="Verifications within seven days, and one more if it was exchanged then.")
    ]
    uses_per_day: Annotated[float, Meta(description="`recent_uses`, divided by the seven days.")]
    uses_by_day: Annotated[
        tuple[DayOfUse, ...], Meta(description="The days among those seven with verifications, today last.")
    ]
    owner_status: Annotated[
        str,
        one_of("active", "disabled", "unknown"),
        Meta(
            description="Of the user who owns it; nothing breaks for a disabled one unless they are enabled again."
            " Unknown for applications, services and users of other systems. Tokens of removed users are revoked, and"
            " no alert."
        ),
    ]
    token: TokenDocument
    previous_secret: Annotated[
        PreviousSecretDocument | UnsetType,
        Meta(description="Only of `grace_ending`: what ends, and who still uses it."),
    ] = UNSET


class AlertPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of alerts."""

    items: list[AlertDocument]
    unannounced: Annotated[
        int,
        Meta(
            description="How many tokens expire within a day without a notice, 1,000 at most; list them with `within`."
        ),
    ]
    next_cursor: str | None
