"""Reads: which actor read which tokens, or which part of the log."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.documents.events import ActorDocument
from counterfoil.documents.fields import Page


class LogRangeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The positions of the log that were read, from the lowest to the highest; `last` below `first`: nothing was there.

    `filters` counts the calls that used each filter, `none` those that used none.
    """

    first: int
    last: int
    filters: dict[str, int]


class ReadDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What one reader has read in the `seconds` before `at`: how often of which kind, and how many rows they saw."""

    at: datetime
    reader: ActorDocument
    calls: Annotated[
        dict[str, int], Meta(description="By kind: list, token, past, events, alerts, reads, log, whole_log.")
    ]
    rows: int
    tokens: Annotated[tuple[UUID, ...], Meta(description="Those asked for by name, a hundred at most.")]
    seconds: int
    log: Annotated[LogRangeDocument | None, Meta(description="What of the log; null for all other reads.")]
    version: Annotated[int, Meta(description="In this reader's own count.")]


class ReadPage(Page[ReadDocument], frozen=True, kw_only=True):
    """A page of reads."""
