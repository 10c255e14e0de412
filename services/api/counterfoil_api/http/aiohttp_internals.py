"""The parts of aiohttp that it does not document, all of them in this file.

aiohttp parses the bytes of a connection into a queue of requests and answers them one by one. It has no public hook to
look into that queue, to queue a refusal, to choose the class of connections under an application, or to give gunicorn's
workers a TLS context that exists already. A test pins the version of aiohttp for which this file was checked.
"""

import ssl
from collections.abc import Iterator

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo
from aiohttp.worker import GunicornWebWorker

CHECKED_VERSION = "3.14.5"


class QueueingConnection(RequestHandler):
    """A connection whose queue of parsed requests can be read, and refused."""

    __slots__ = ()

    @property
    def awaits_request(self) -> bool:
        """Whether every parsed request is answered, and the next one has not arrived."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def parsed_requests(self) -> int:
        """How many requests of this connection were parsed, the malformed ones included."""
        return self._request_count

    @property
    def is_drained(self) -> bool:
        """Whether no parsed request is left to be answered."""
        return not self._messages

    @property
    def newest_body(self) -> StreamReader:
        """The body of the request that was parsed last."""
        return self._messages[-1][1]

    @property
    def newest_is_malformed(self) -> bool:
        """Whether the bytes that were parsed last are no request."""
        return isinstance(self._messages[-1][0], _ErrInfo)

    def newest_heads(self, count: int) -> Iterator[tuple[int, RawRequestMessage]]:
        """Iterate over the well-formed ones among the last `count` requests, each with its place in the queue."""
        for place in range(-count, 0):
            head, _ = self._messages[place]
            if isinstance(head, RawRequestMessage):
                yield place, head

    def replace_request(self, place: int, error: Exception, *, status: int) -> None:
        """Answer the request at this place with an error; `handle_error` makes the response."""
        self._messages[place] = _failed(error, status)

    def queue_error(self, error: Exception, *, status: int) -> None:
        """Answer with an error after the requests that were parsed before."""
        self._messages.append(_failed(error, status))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _failed(error: Exception, status: int) -> tuple[_ErrInfo, StreamReader]:
    return _ErrInfo(status=status, exc=error, message=""), EMPTY_PAYLOAD


class ServerRunner(web.AppRunner):
    """Runs an application in a server of a class of our own."""

    __slots__ = ()

    def server_of(self, plain: web.Server) -> web.Server:
        """Return the server to use in place of aiohttp's own."""
        return plain

    async def _make_server(self) -> web.Server:
        return self.server_of(await super()._make_server())


def gunicorn_worker(base: type[GunicornWebWorker], context: ssl.SSLContext | None) -> type:
    """Return a class of workers that serve with this TLS context, instead of reading the certificate themselves."""
    return type("Worker", (base,), {"_create_ssl_context": staticmethod(lambda _: context)})
