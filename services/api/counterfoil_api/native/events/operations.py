"""GET /v1/events: the log, as a page or line by line."""

from typing import Final

from counterfoil.core.refusals import OperatorOnly
from counterfoil.settings import Settings
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.events.held_callers import READS_LOG, READS_USERS, HeldCaller
from counterfoil_api.events.lines import printable
from counterfoil_api.events.streams import Streams
from counterfoil_api.handling.reading import Reading
from counterfoil_api.http.errors import BeyondLog, TooManyStreams
from counterfoil_api.native.events.documents import LogHeaders, LogPage, LogQuery
from counterfoil_api.native.events.following import follow, live_form, resumed
from counterfoil_api.native.events.log_request import request_of
from counterfoil_api.native.events.replaying import page, replay
from counterfoil_api.operations.accepting import accepts, preferred
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import ClientAddress, Headers, Query
from counterfoil_api.operations.replies import JSON, encode
from counterfoil_api.operations.streaming import EVENT_STREAM, NDJSON, Streamed

api = Api("audit", OURS)

_DEFAULT_LIMIT: Final = 50


@api.get(
    "/v1/events",
    needs="audit.read",
    refusals=(OperatorOnly, BeyondLog, TooManyStreams),
    streams=(NDJSON, EVENT_STREAM),
    headers=("Log-Head",),
)
async def read_log(
    reading: Reading, settings: Settings, streams: Streams, *, caller: Caller, address: ClientAddress,
    query: Query[LogQuery], headers: Headers[LogHeaders],
) -> Streamed[LogPage]:  # fmt: skip
    """Read the log: everything that happened in the account, in one order, from any position on.

    Positions count from 1 without a gap, and never change. The order is causal: the events of one subject are in order,
    and an event follows all events that its cause could see. Without `limit` the answer is NDJSON, one line an event,
    up to `Log-Head`; its last line has that position, as `{"position":N}` if the filter hides the event. After an
    incomplete answer, continue after the position of the last complete line. With `limit`, or with
    `Accept: application/json`, the answer is one page. Reads are logged, at most one an hour and reader.

    With `follow=true` the NDJSON does not end at the head, and with `Accept: text/event-stream` the answer is
    Server-Sent Events, each with its position as id and a line as data. Sealed events are sent at once. After five
    seconds without an event, `{"position":N}`, or a comment and an id, says that everything up to N was examined. When
    the credential ends, the last line is `{"end":"credential-ended"}`, or an event `end`; after any other end, connect
    again with the last position.
    """
    media_type = preferred(headers.accept, (NDJSON, JSON, EVENT_STREAM))
    form = live_form(query, media_type)
    if form == "sse":
        query = resumed(query, headers.last_event_id)
    request = await request_of(reading, settings, caller, query)
    reply_headers = {"Log-Head": str(request.head), "Vary": "Accept, Accept-Encoding"}
    held = HeldCaller.of(caller, address, (READS_LOG, READS_USERS) if request.sight.users else (READS_LOG,))
    if form is not None:
        return await follow(streams, request, form, held, headers=reply_headers)
    compress = accepts(headers.accept_encoding, "gzip")
    if query.limit is None and media_type == NDJSON:
        await request.record(last=request.head)
        return Streamed(NDJSON, replay(streams, request, held), reply_headers, compress)
    found = await page(request, query.limit or _DEFAULT_LIMIT)
    return Streamed(JSON, printable(encode(found)), reply_headers, compress)
