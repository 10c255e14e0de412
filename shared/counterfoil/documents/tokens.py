"""Tokens and alerts as callers read them."""

from datetime import datetime
from typing import Annotated, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.core.subjects.token.state import Status
from counterfoil.documents.events import ActorDocument, EventDocument, SubjectDocument
from counterfoil.documents.fields import one_of
from counterfoil.documents.owners import OwnerDocument
from counterfoil.documents.trusts import TrustDocument


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """The past moment that a token is shown at, and the event that decided what it was good for.

    That may be one of the user on whose behalf it acted, or of its account: `subject` says so.
    """

    at: datetime
    subject: SubjectDocument
    decided_by: EventDocument


class WarningDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done as it was asked for and deserves a second look; a code never changes its meaning."""

    code: Annotated[str, one_of("never-expires", "scopes-undescribed")]
    detail: str


class TokenPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """One of the tokens that are meant."""

    id: UUID
    number: int
    name: str | None
    owner: OwnerDocument
    last_used_at: datetime | None


class ChildrenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a token or a user made, in the reply that ends them.

    Without `with_children`: how many tokens that it made are not revoked, and where to list them. With it: how many are
    revoked at any depth, how many of them the caller may not end, and the bulk revocation that does it.
    """

    living: Annotated[int | UnsetType, Meta(description="Not revoked, and accepted as before.")] = UNSET
    list: Annotated[str | UnsetType, Meta(examples=["/v1/tokens?creator=token:7"])] = UNSET
    ending: Annotated[
        int | UnsetType, Meta(description="Found until now; what is made until they are revoked is revoked as well.")
    ] = UNSET
    left_alone: Annotated[
        int | UnsetType, Meta(description="They belong to owners whose tokens the caller may not end.")
    ] = UNSET
    sample: Annotated[
        tuple[TokenPlanned, ...] | UnsetType, Meta(description="Twenty at most, in a dry run: those used last.")
    ] = UNSET
    revocation: Annotated[UUID | UnsetType, Meta(description="See `/v1/revocations/{revocation}`.")] = UNSET


class TokenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A token as everybody may see it who may see it at all: never with its secret."""

    id: UUID
    number: int
    account: UUID
    owner: OwnerDocument
    creator: ActorDocument
    name: str | None
    description: str
    scopes: tuple[str, ...]
    effective_scopes: Annotated[
        tuple[str, ...], Meta(description="What it may do at this moment: nothing that the user may not who owns it.")
    ]
    metadata: dict[str, str]
    networks: Annotated[tuple[str, ...], Meta(description="From where it may be used; none is anywhere.")]
    rate_limit: Annotated[str | None, Meta(description="How often it may be used; null is any number of times.")]
    max_uses: Annotated[int | None, Meta(description="How often it may be used in all; null is any number of times.")]
    uses_left: Annotated[int | None, Meta(description="What is left of `max_uses`; null for a past moment.")]
    trust: Annotated[TrustDocument | None, Meta(description="Whose JWTs open it; null for a token with a secret.")]
    trust_by: Annotated[
        ActorDocument | None,
        Meta(description="Who stated the trust, or gave it scopes, last: its bearers may no more than they still may."),
    ]
    status: Annotated[str, one_of(*get_args(Status))]
    refused: Annotated[
        str | None, Meta(description="The problem that its secret is answered with at this moment; null: it is good.")
    ]
    lifetime: str | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_exchanged_at: datetime | None
    last_used_at: Annotated[datetime | None, Meta(description="True to the second; null for a past moment.")]
    generation: int
    previous_secret_until: datetime | None
    stub: str
    revision: int
    reason: str | None
    dialect: str
    as_of: Annotated[AsOf | UnsetType, Meta(description="Only of the past, where last uses are not told.")] = UNSET
    warnings: Annotated[
        tuple[WarningDocument, ...] | UnsetType, Meta(description="In the reply that issues it or changes its scopes.")
    ] = UNSET
    children: Annotated[ChildrenDocument | UnsetType, Meta(description="In the reply that revokes it.")] = UNSET


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A token together with its new secret, which is shown this once; one that a trust opens has none."""

    token: TokenDocument
    secret: str | UnsetType = UNSET
    ended_early: Annotated[
        datetime | UnsetType,
        Meta(description="When a secret from an earlier grace, which this rotation ended, would have ended by itself."),
    ] = UNSET


class TokenPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some tokens, and where the next ones begin."""

    items: list[TokenDocument]
    next_cursor: str | None


class AlertDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A token that expires soon or has expired: what will break, and how soon.

    `at` and `threshold_seconds` are null if no notice was raised; a notice is raised only of longer lifetimes.
    """

    kind: Annotated[str, one_of("expiring", "expired")]
    at: Annotated[datetime | None, Meta(description="When it was announced.")]
    threshold_seconds: Annotated[int | None, Meta(description="The notice that was crossed; 0 is the expiry.")]
    left_seconds: Annotated[int, Meta(description="Until the expiry; negative when it has passed.")]
    recent_uses: Annotated[int, Meta(description="Verifications of seven days, and one if it was exchanged then.")]
    owner_status: Annotated[
        str,
        one_of("active", "disabled"),
        Meta(description="Disabled where the user who owns it is: then nothing breaks unless they are enabled again."),
    ]
    token: TokenDocument


class AlertPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some alerts, and where the next ones begin."""

    items: list[AlertDocument]
    unannounced: Annotated[
        int,
        Meta(description="How many tokens expire within a day without a notice, 1,000 at most; see them by `within`."),
    ]
    next_cursor: str | None
