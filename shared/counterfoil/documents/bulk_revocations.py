"""Bulk revocations: what a plan would revoke, what would break, and how far a revocation is."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.documents.events import ActorDocument
from counterfoil.documents.fields import Page, one_of
from counterfoil.documents.owners import OwnerDocument
from counterfoil.documents.tokens import TokenPlanned

Plan = Annotated[
    str, Meta(pattern="^[0-9a-f]{64}$", description="Stands for exactly these tokens, with the secrets they have now.")
]


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """How many of them were exchanged or verified within so long, and how many never were."""

    hour: int
    day: int
    week: int
    never: int


class OwnerPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """An owner whose tokens are meant, and how many of them were used within a week."""

    owner: OwnerDocument
    tokens: int
    used_in_week: int


class PlanDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What would be revoked, and what would break. Nothing was changed.

    `includes_yourself` says that the token which asks is among them; the revocation then goes on without it. `owners`
    and `used_last` are the first twenty, those first that break most; the list shows all, with the same filter.
    """

    plan: Plan
    tokens: int
    left_alone: Annotated[
        int, Meta(description="Tokens that these made and that are not meant: of other owners than the caller may end.")
    ]
    used: Used
    includes_yourself: bool
    owners: list[OwnerPlanned]
    used_last: list[TokenPlanned]


class BulkRevocationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk revocation. `done` is `revoked`, `failed` and `already` together: the last were revoked by others."""

    id: UUID
    status: Annotated[str, one_of("accepted", "running", "finished", "cancelled")]
    reason: str | None
    filter: Annotated[dict[str, Any] | None, Meta(description="Null when it was erased.")]
    plan: Plan
    with_children: Annotated[bool, Meta(description="It revokes also what its tokens made.")]
    total: Annotated[int, Meta(description="Tokens that it was accepted with.")]
    found: Annotated[int, Meta(description="Tokens that were made by them and found since.")]
    done: int
    revoked: int
    already: int
    failed: int
    some_failed: Annotated[list[UUID], Meta(description="Twenty of those that could not be revoked, at most.")]
    per_second: Annotated[float | None, Meta(description="Tokens gone through, while it is or was running.")]
    created_at: datetime
    created_by: ActorDocument
    started_at: datetime | None
    ended_at: datetime | None
    revision: int

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in {"finished", "cancelled"}


class BulkRevocationPage(Page[BulkRevocationDocument], frozen=True, kw_only=True):
    """Some bulk revocations, the latest first, and where the next ones begin."""
