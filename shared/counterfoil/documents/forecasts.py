"""The forecast of expiries, the cliffs in it, and the plan that spreads them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.documents.owners import OwnerDocument


class OwnerExpiring(msgspec.Struct, frozen=True, kw_only=True):
    """An owner, and how many of their tokens expire on a day."""

    owner: OwnerDocument
    tokens: int
    used: int


class ForecastDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day in UTC, and how many tokens expire on it."""

    day: date
    tokens: int
    used: Annotated[int, Meta(description="How many of them were used within seven days.")]
    owners: Annotated[
        list[OwnerExpiring], Meta(description="Three at most: those with the most used tokens, then the most tokens.")
    ]


class CliffDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A window in which so many used tokens expire that much breaks at once; the fullest of overlapping ones."""

    starts_at: datetime
    ends_at: datetime
    used: Annotated[int, Meta(description="Used tokens that expire from `starts_at` on, before `ends_at`.")]


class ForecastDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens that expire from now to the end of the last day, by day.

    Revoked tokens and sessions of logins are not counted. `cliffs` are in the order of their times.
    """

    at: datetime
    tokens: int
    used: Annotated[int, Meta(description="How many of them were used within seven days.")]
    days: list[ForecastDay]
    cliffs: list[CliffDocument]


class TokenMoved(msgspec.Struct, frozen=True, kw_only=True):
    """A token that the plan moves, or that may not be moved. A renewal states `revision` and `new_expires_at`."""

    id: UUID
    number: int
    name: str | None
    owner: OwnerDocument
    last_used_at: datetime | None
    revision: int
    expires_at: datetime


class Move(TokenMoved, frozen=True, kw_only=True):
    """A token, and the expiry that spreads the cliff."""

    new_expires_at: datetime


class NotMoved(TokenMoved, frozen=True, kw_only=True):
    """A token that the caller may not renew, and the problem with which its renewal is refused."""

    problem: str
    detail: str


class SpreadDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that spreads the cliffs of the next days. Nothing was changed.

    Renew each token of `moves` until `new_expires_at`, with `keeps_lifetime`, if it is still at its `revision`. A plan
    has at most 500 tokens; ask again after the last one. Tokens that were moved are in no later plan.
    """

    cliffs: list[CliffDocument]
    moves: list[Move]
    refused: list[NotMoved]
    left_over: Annotated[
        int,
        Meta(
            description="Used tokens that are still too many: refused ones, those for which no time is free that"
            " their policy and the caller allow, and those beyond the first 500."
        ),
    ]
