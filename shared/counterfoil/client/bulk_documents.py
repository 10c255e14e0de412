"""What the ledger answers about many tokens at once, as this client reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from counterfoil.client.documents import Actor, Owner, TokenPlanned


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens were used within so long, and how many never were."""

    hour: int
    day: int
    week: int
    never: int


class OwnerPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """An owner whose tokens are meant."""

    owner: Owner
    tokens: int
    used_in_week: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be revoked; `plan` stands for exactly these tokens."""

    plan: str
    tokens: int
    used: Used
    includes_yourself: bool
    owners: tuple[OwnerPlanned, ...]
    used_last: tuple[TokenPlanned, ...]
    left_alone: int = 0


class BulkRevocation(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk revocation, and how far it is: with children, `found` tokens were found since it was accepted."""

    id: UUID
    status: str
    reason: str | None
    filter: dict[str, Any] | None
    plan: str
    total: int
    done: int
    revoked: int
    already: int
    failed: int
    some_failed: tuple[UUID, ...]
    per_second: float | None
    created_at: datetime
    created_by: Actor
    started_at: datetime | None
    ended_at: datetime | None
    revision: int
    with_children: bool = False
    found: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in {"finished", "cancelled"}


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one token from elsewhere: imported, already, or refused with the `problem`."""

    status: str
    token: UUID | None = None
    number: int | None = None
    problem: dict[str, Any] | None = None


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each, in the order in which they were given."""

    imported: int
    already: int
    refused: int
    results: tuple[Imported, ...]
