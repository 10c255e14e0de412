"""What travels when many tokens are revoked at once: which are meant, what would break, and how far it is."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.documents.events import ActorDocument
from counterfoil.documents.fields import Cursor, Given, Limit, Why
from counterfoil.documents.owners import OwnerDocument
from counterfoil.documents.tokens import TokenPlanned
from counterfoil_api.native.tokens.filters import TokenFilter
from counterfoil_api.operations.reading import path_type

Plan = Annotated[
    str, Meta(pattern="^[0-9a-f]{64}$", description="Stands for exactly these tokens, with the secrets they have now.")
]


BulkRevocationRef = Annotated[
    str,
    path_type(
        "A bulk revocation's id.",
        "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        "019ca8c1-7b40-7000-8000-3f2a9c51d7e4",
    ),
]


class Selection(TokenFilter, frozen=True, kw_only=True):
    """Which tokens are meant: the filters of the list. To mean every one, say `everything`; nothing said is refused.

    Those that are revoked already are never meant. Times are half-open: from `…_after` on, up to but without
    `…_before`.
    """

    everything: bool = False
    with_children: Annotated[
        bool, Meta(description="Also what these tokens made, and what that made, before it is done.")
    ] = False


class PlanRequest(Given, frozen=True, kw_only=True):
    """Which tokens would be revoked."""

    filter: Selection


class RevocationRequest(Given, frozen=True, kw_only=True):
    """Which tokens are to be revoked, the plan that they were looked at in, and why."""

    filter: Selection
    plan: Plan
    reason: Why


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
    status: Literal["accepted", "running", "finished", "cancelled"]
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


class BulkRevocationPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some bulk revocations, the latest first, and where the next ones begin."""

    items: list[BulkRevocationDocument]
    next_cursor: str | None


class BulkRevocationQuery(Given, frozen=True, kw_only=True):
    """A page."""

    limit: Limit = 50
    cursor: Cursor | None = None


LEAKED: Final = Selection(name="ci-*", owner_type="service", owner_id="builds")
REQUEST: Final = RevocationRequest(
    filter=LEAKED,
    plan="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    reason="The build cluster's vault was copied.",
)
