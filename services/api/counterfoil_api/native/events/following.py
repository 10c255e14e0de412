"""The growing log: an answer that ends only when its reader leaves or loses access."""

import re
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from counterfoil_api.events.batches import Form
from counterfoil_api.events.held_callers import HeldCaller
from counterfoil_api.events.streams import Streams
from counterfoil_api.http.errors import InvalidRequest
from counterfoil_api.native.events.documents import LogPage, LogQuery
from counterfoil_api.native.events.log_request import LogRequest
from counterfoil_api.native.events.stream import Stream
from counterfoil_api.operations.streaming import EVENT_STREAM, NDJSON, Streamed

_POSITION: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_MEDIA_TYPES: Final[Mapping[Form, str]] = {"ndjson": NDJSON, "sse": EVENT_STREAM}


def live_form(query: LogQuery, media_type: str) -> Form | None:
    """Return the form of the requested live stream; None if the request asks for none."""
    form: Form | None = "sse" if media_type == EVENT_STREAM else "ndjson" if query.follow == "true" else None
    if form is not None and query.limit is not None:
        raise InvalidRequest(
            "A live stream has no limit; leave out limit, or leave out follow=true and text/event-stream for a page.",
            where="query", field="limit",
        )  # fmt: skip
    return form


def resumed(query: LogQuery, last_event_id: str) -> LogQuery:
    """Return the query that continues after the reader's last event, if the reader states it."""
    if not last_event_id:
        return query
    if _POSITION.fullmatch(last_event_id) is None:
        raise InvalidRequest(
            "Last-Event-ID has to be the position of the last event that you received, such as 17.",
            where="header", field="Last-Event-ID",
        )  # fmt: skip
    return replace(query, after=last_event_id)


async def follow(
    streams: Streams, request: LogRequest, form: Form, caller: HeldCaller, *, headers: Mapping[str, str]
) -> Streamed[LogPage]:
    """Begin a live stream, or raise TooManyStreams."""
    stream = Stream(streams, request, form, caller)
    try:
        await request.record(last=request.head)
    except BaseException:
        await stream.aclose()
        raise
    # Otherwise nginx buffers the stream.
    return Streamed(_MEDIA_TYPES[form], stream, {**headers, "X-Accel-Buffering": "no"})
