"""Requests of the log, and its lines and pages."""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.core.kinds import EVENTS
from counterfoil.documents.events import LogLine
from counterfoil_api.native.account.actor_references import ActorRef
from counterfoil_api.native.account.periods import PeriodQuery
from counterfoil_api.native.tokens.references import TOKEN_PATTERN

LATEST: Final = "latest"
_TYPES: Final = sorted({word for events in EVENTS.values() for word in events})

After = Annotated[
    str,
    Meta(
        pattern="^(latest|0|[1-9][0-9]{0,18})$",
        description="Begin with what follows this position: 0 for everything, `latest` for what is still to come.",
        examples=["17"],
    ),
]
PageSize = Annotated[int, Meta(ge=1, le=1_000, description="Return one page of JSON with at most so many events.")]
SubjectKind = Annotated[
    str, Meta(description="Only of subjects of this kind; may be repeated.", extra_json_schema={"enum": sorted(EVENTS)})
]
EventType = Annotated[
    str, Meta(description="Only events of this type; may be repeated.", extra_json_schema={"enum": _TYPES})
]
NamedToken = Annotated[
    str,
    Meta(
        description="Only events of this token: its id, its number, or `self`.",
        extra_json_schema={"pattern": TOKEN_PATTERN},
        examples=["7"],
    ),
]
NamedUser = Annotated[
    str,
    Meta(
        max_length=255,
        description="Only events of this user: an id, a number, an e-mail address, or `self`.",
        examples=["grace@example.org"],
    ),
]


class LogQuery(PeriodQuery, frozen=True, kw_only=True):
    """The position and the form of the answer, and the filters: an event must match all of them."""

    after: After = "0"
    limit: PageSize | None = None
    token: NamedToken | None = None
    user: NamedUser | None = None
    subject: Annotated[UUID, Meta(description="Only events of the subject with this id.")] | None = None
    kind: tuple[SubjectKind, ...] = ()
    type: tuple[EventType, ...] = ()
    actor: ActorRef | None = None
    follow: (
        Annotated[
            Literal["true", "false"],
            Meta(description="`true`: continue with events that are sealed from now on, until the reader disconnects."),
        ]
        | None
    ) = None
    accounts: (
        Annotated[
            Literal["all"],
            Meta(description="The log of all accounts, with positions of its own; only in the operator's account."),
        ]
        | None
    ) = None


class LogHeaders(
    msgspec.Struct, frozen=True, kw_only=True,
    rename={"accept": "Accept", "accept_encoding": "Accept-Encoding", "last_event_id": "Last-Event-ID"},
):  # fmt: skip
    """The requested form of the answer, and the position at which a stream of Server-Sent Events was interrupted."""

    accept: str = ""
    accept_encoding: Annotated[str, Meta(description="`gzip`: an answer that ends may be compressed.")] = ""
    last_event_id: Annotated[
        str, Meta(description="For Server-Sent Events: the position to continue after, instead of `after`.")
    ] = ""


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events; `after` is where the next page begins, and where it equals `head`, there is no more yet."""

    items: list[LogLine]
    after: int
    head: int
