"""Quotas of owners."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from counterfoil.core.bounds import QUOTA_LIMIT
from counterfoil.documents.fields import Given, Page, RateLimit
from counterfoil.documents.owners import OwnerDocument

Number = Annotated[int, Meta(ge=1, le=QUOTA_LIMIT)]


class QuotaGiven(Given, frozen=True, kw_only=True):
    """The limits of an owner, at least one; null means any number."""

    rate_limit: RateLimit | None = None
    max_uses: Annotated[Number | None, Meta(description="Uses of all the owner's tokens together.")] = None
    max_tokens: Annotated[Number | None, Meta(description="Tokens that live: not revoked, not expired, no login.")] = (
        None
    )


class QuotaDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The quota of an owner, and how much of it is used."""

    owner: OwnerDocument
    rate_limit: Annotated[str | None, Meta(description="Calls with all the owner's tokens; null is any number.")]
    max_uses: int | None
    uses_left: Annotated[int | None, Meta(description="What is left of `max_uses`.")]
    max_tokens: int | None
    tokens: Annotated[int, Meta(description="How many tokens live: not revoked, not expired, no login.")]
    created_at: datetime
    updated_at: datetime
    revision: int


class QuotaPage(Page[QuotaDocument], frozen=True, kw_only=True):
    """A page of quotas."""
