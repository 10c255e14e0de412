"""GET /v1/events: the log, as a page or line by line."""

from typing import Final

from counterfoil.principal import Principal
from counterfoil.refusals import OperatorOnly, ScopeMissing, UnknownUser
from counterfoil_api.edge.complaints import BeyondLog
from counterfoil_api.events.documents import LogHeaders, LogPage, LogQuery
from counterfoil_api.events.lines import printable
from counterfoil_api.events.readings import reading_of
from counterfoil_api.events.replaying import page, replay
from counterfoil_api.ledger import Ledger
from counterfoil_api.typed.accepting import accepts, preferred
from counterfoil_api.typed.api import Api
from counterfoil_api.typed.reading import Asker, Headers, Query
from counterfoil_api.typed.replies import JSON, encode
from counterfoil_api.typed.streaming import NDJSON, Streamed

api = Api("audit")

_DEFAULT_LIMIT: Final = 50


@api.get(
    "/v1/events",
    scope="audit.read",
    refusals=(ScopeMissing, OperatorOnly, BeyondLog, UnknownUser),
    streams=(NDJSON,),
    headers=("Log-Head",),
)
async def read_log(
    ledger: Ledger, asker: Asker[Principal], *, query: Query[LogQuery], headers: Headers[LogHeaders]
) -> Streamed[LogPage]:
    """Read the log: everything that happened in the account, in one order, from any position on.

    Positions count from 1 without a gap, and never change. The order is causal: the events of one subject are in order,
    and an event comes after all that its cause could see. Without `limit` the answer is NDJSON, one line an event, up
    to `Log-Head`; its last line is at that position, `{"position":N}` alone where a filter hides the event there. An
    answer that breaks off is resumed after the position of its last whole line. With `limit`, or with
    `Accept: application/json`, it is one page. To read it is an event itself, at most one an hour and reader.
    """
    reading = await reading_of(ledger, asker, query)
    told = {"Log-Head": str(reading.head), "Vary": "Accept, Accept-Encoding"}
    compress = accepts(headers.accept_encoding, "gzip")
    if query.limit is None and preferred(headers.accept, (NDJSON, JSON)) == NDJSON:
        await reading.tell(ledger, last=reading.head)
        return Streamed(NDJSON, replay(ledger, reading), told, compress)
    found = await page(ledger, reading, query.limit or _DEFAULT_LIMIT)
    return Streamed(JSON, printable(encode(found)), told, compress)
