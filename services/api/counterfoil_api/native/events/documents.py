"""Requests of the log, and its lines and pages."""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.core.kinds import EVENTS
from counterfoil_api.events.lines import LogLine
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
PageSize = Annotated[int, Meta(ge=1, le=1_000, description="Answer with one page of JSON with at most so many events.")]
SubjectKind = Annotated[
    str, Meta(description="Only of subjects of this kind; may be repeated.", extra_json_schema={"enum": sorted(EVENTS)})
]
EventType = Annotated[
    str, Meta(description="Only events of this type; may be repeated.", extra_json_schema={"enum": _TYPES})
]
NamedToken = Annotated[
    str,
    Meta(
        description="Only what happened to this token: its id, its number, or `self`.",
        extra_json_schema={"pattern": TOKEN_PATTERN},
        examples=["7"],
    ),
]
NamedUser = Annotated[
    str,
    Meta(
        max_length=255,
        description="Only what happened to this user: an id, a number, an e-mail address, or `self`.",
        examples=["grace@example.org"],
    ),
]


class LogQuery(PeriodQuery, frozen=True, kw_only=True):
    """From where on, in what form, and which events: those for which every filter holds."""

    after: After = "0"
    limit: PageSize | None = None
    token: NamedToken | None = None
    user: NamedUser | None = None
    subject: Annotated[UUID, Meta(description="Only what happened to the subject with this id.")] | None = None
    kind: tuple[SubjectKind, ...] = ()
    type: tuple[EventType, ...] = ()
    actor: ActorRef | None = None
    follow: (
        Annotated[
            Literal["true", "false"],
            Meta(description="`true`: go on with what is sealed from now on, until the reader leaves."),
        ]
        | None
    ) = None
    accounts: (
        Annotated[
            Literal["all"],
            Meta(description="The log of all accounts, by positions of its own; only in the operator's account."),
        ]
        | None
    ) = None


class LogHeaders(
    msgspec.Struct, frozen=True, kw_only=True,
    rename={"accept": "Accept", "accept_encoding": "Accept-Encoding", "last_event_id": "Last-Event-ID"},
):  # fmt: skip
    """In which form the answer is wanted, and where a stream of Server-Sent Events broke off."""

    accept: str = ""
    accept_encoding: Annotated[str, Meta(description="`gzip`: an answer that ends may be compressed.")] = ""
    last_event_id: Annotated[
        str, Meta(description="Of Server-Sent Events: the position to go on after, rather than `after`.")
    ] = ""


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events; `after` is where the next page begins, and where it equals `head`, there is no more yet."""

    items: list[LogLine]
    after: int
    head: int
