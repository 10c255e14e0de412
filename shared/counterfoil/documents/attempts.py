"""Attempts that failed."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.documents.events import ActorDocument
from counterfoil.documents.fields import Page


class AttemptDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How often one kind of attempt failed for one subject within one minute."""

    minute: datetime
    kind: Annotated[str, Meta(description="login-failed, or the last part of the type of the problem answered.")]
    subject: Annotated[UUID | None, Meta(description="The token or user; null where too many to be told apart.")]
    named: Annotated[
        ActorDocument | None, Meta(description="What it is called now; null if it is gone or may not be seen.")
    ]
    network: Annotated[str, Meta(description="Where the latest came from: a /24 or a /64, never an address.")]
    count: int
    last_at: datetime


class AttemptPage(Page[AttemptDocument], frozen=True, kw_only=True):
    """A page of attempts."""
