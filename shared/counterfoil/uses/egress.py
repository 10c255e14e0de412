"""Outgoing requests to URLs that tenants state; the service sends no other requests to such URLs.

A request uses https; a webhook may use http to hosts for which the operator allows it. The service resolves the host
name once, checks the addresses (`core/destinations`), and connects only to addresses that passed the check. It follows
no redirects, uses no proxy from the environment, sends no cookies and accepts no compression. Time and size of the
reply are limited.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from counterfoil.core.destinations import (
    Address,
    Allowed,
    Destination,
    DestinationRefused,
    destination_of,
    refuse_closed_port,
    vetted,
    webhook_destination_of,
)
from counterfoil.settings import BadSetting, Settings

PATIENCE_SECONDS: Final = 5.0
"""The longest time for resolving, connecting and reading together."""
WEBHOOK_SECONDS: Final = 10.0
"""The longest time until the status of a webhook's reply has arrived."""
_EXCERPT_SECONDS: Final = 1.0
_EXCERPT: Final = 1_024
"""The time and the bytes in which the beginning of a webhook's reply is read; the rest is not read."""
LONGEST_REPLY: Final = 65_536
_PART: Final = 8_192
_RESOLVERS: Final = 16
"""How many names are resolved at a time. The system's resolver blocks a thread for each, sometimes for long."""
_HEADERS: Final = {"User-Agent": "counterfoil", "Accept": "application/json", "Accept-Encoding": "identity"}
_MAX_AGE: Final = re.compile(r"max-age=\"?(\d{1,9})", re.IGNORECASE)
_NOT_AT_ALL: Final = re.compile(r"\bno-(store|cache)\b", re.IGNORECASE)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Reason = Literal["destination", "connection", "time", "status", "encoding", "size"]


class EgressFailed(Exception):  # noqa: N818 - named like the refusals
    """A failed call. The message is for the service's own log; the tenant who stated the address never sees it."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(what)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Fetched:
    """The body of a reply, and for how many seconds its Cache-Control allows to keep it."""

    content: bytes
    max_age: int | None


@dataclass(frozen=True, slots=True)
class Posted:
    """The status of a webhook's reply, how its content begins, and its Retry-After."""

    status: int
    excerpt: bytes
    retry_after: str | None


def trusted(settings: Settings) -> ssl.SSLContext:
    """Return a TLS context that trusts the system's authorities and those of EGRESS_CA_FILE; or raise BadSetting."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.egress_ca_file is not None:
        try:
            context.load_verify_locations(cafile=settings.egress_ca_file)
        except OSError as error:  # includes ssl.SSLError
            why = error.strerror if error.errno else "it has to hold certificates in PEM form"
            raise BadSetting("EGRESS_CA_FILE", f"cannot be used ({why}).") from None
    return context


class Egress:
    """Requests URLs that tenants state: `async with Egress(settings) as egress`."""

    def __init__(self, settings: Settings, *, resolve: Resolve | None = None) -> None:
        self._allowed = Allowed.of(settings.egress_allowed)
        self._settings = settings
        self._context: ssl.SSLContext | None = None
        self._resolve = resolve or self._by_system
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolver")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def get(self, url: str) -> Fetched:
        """Send a GET request and return its reply, or raise EgressFailed."""
        async with _failing(PATIENCE_SECONDS):
            addresses = await self._addresses(destination_of(url))
            async with self._asked("GET", url, addresses, _HEADERS) as reply:
                return Fetched(await _content(reply), _max_age(reply))

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Send a POST request and return the server's reply with any status; or raise EgressFailed.

        A redirect is returned like any other reply, and is not followed.
        """
        async with _failing(WEBHOOK_SECONDS) as limit:
            addresses = await self._addresses(webhook_destination_of(url))
            async with self._asked("POST", url, addresses, {**_HEADERS, **headers}, body) as reply:
                limit.reschedule(None)  # only the status counts; a slow rest does not change it
                return Posted(reply.status, await _excerpt(reply), reply.headers.get("Retry-After"))

    async def vet(self, url: str) -> None:
        """Raise EgressFailed unless webhooks may be sent to this URL, as its host name resolves now."""
        async with _failing(PATIENCE_SECONDS):
            await self._addresses(webhook_destination_of(url))

    async def _addresses(self, destination: Destination) -> tuple[Address, ...]:
        refuse_closed_port(destination, self._allowed)
        if destination.address is not None:
            return vetted(destination, [str(destination.address)], self._allowed)
        return vetted(destination, await self._resolve(destination.host, destination.port), self._allowed)

    async def _by_system(self, host: str, port: int) -> Sequence[str]:
        def resolve() -> Sequence[str]:
            return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

        return await asyncio.get_running_loop().run_in_executor(self._threads, resolve)

    async def _trusted(self) -> ssl.SSLContext:
        """Return the TLS context, read once: reading it takes as long as some hundred requests."""
        if self._context is None:
            loop = asyncio.get_running_loop()
            self._context = await loop.run_in_executor(self._threads, trusted, self._settings)
        return self._context

    @asynccontextmanager
    async def _asked(
        self, method: str, url: str, addresses: tuple[Address, ...], headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(addresses), use_dns_cache=False, force_close=True, ssl=await self._trusted()
        )
        async with (
            aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
            ) as client,
            client.request(
                method, URL(url, encoded=True), data=body or None, headers=headers, allow_redirects=False
            ) as reply,
        ):
            yield reply


@asynccontextmanager
async def _failing(seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Turn every failure of a call, and more than so many seconds, into EgressFailed."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield limit
    except DestinationRefused as error:
        raise EgressFailed("destination", str(error)) from None
    except BadSetting as error:  # the file was good when the process started
        raise EgressFailed("connection", str(error)) from None
    except TimeoutError:
        raise EgressFailed("time", f"The server did not answer within {seconds:g} seconds.") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise EgressFailed("connection", f"The connection failed ({type(error).__name__}).") from None


class _Pinned(AbstractResolver):
    """Resolves every name to the addresses that passed the check."""

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the checked addresses for any name."""
        _ = family
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Do nothing; this resolver holds no resources."""


async def _content(reply: aiohttp.ClientResponse) -> bytes:
    if reply.status != 200:
        raise EgressFailed("status", f"The server answered with the HTTP status {reply.status}.")
    if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise EgressFailed("encoding", "The server compressed its reply, which was not asked for.")
    content = bytearray()
    async for part in reply.content.iter_chunked(_PART):
        content += part
        if len(content) > LONGEST_REPLY:
            raise EgressFailed("size", f"The reply is longer than {LONGEST_REPLY:,} bytes.")
    return bytes(content)


async def _excerpt(reply: aiohttp.ClientResponse) -> bytes:
    """Return how the content begins, as far as it arrives at once."""
    content = bytearray()
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_EXCERPT_SECONDS):
            while len(content) < _EXCERPT and (part := await reply.content.read(_EXCERPT - len(content))):
                content += part
    return bytes(content)


def _max_age(reply: aiohttp.ClientResponse) -> int | None:
    stated = ",".join(reply.headers.getall("Cache-Control", []))
    if _NOT_AT_ALL.search(stated):
        return 0
    found = _MAX_AGE.search(stated)
    return int(found[1]) if found else None
