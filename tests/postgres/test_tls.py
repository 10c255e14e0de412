"""The TLS options in URLs of Postgres and Valkey are respected: no secret is sent without TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway

from api.certificates import Authority
from counterfoil.postgres.connection import LOST, connect

PASSWORD: Final = "correct-horse-battery-staple"
REQUEST: Final = (8).to_bytes(4, "big") + (80_877_103).to_bytes(4, "big")
"""Postgres' question whether the server speaks TLS."""
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A server that records what arrives, first in plain text and then under TLS."""

    def __init__(self, context: ssl.SSLContext, *, speaks_tls: bool) -> None:
        self._context, self._speaks_tls = context, speaks_tls
        self.clear = b""
        self.secured = b""

    async def postgres(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clear += await reader.readexactly(8)
        if self.clear != REQUEST or not self._speaks_tls:
            writer.write(b"N")
            self.clear += await reader.read()
            writer.close()
            return
        writer.write(b"S")
        try:
            await writer.start_tls(self._context)
            self.secured += await reader.readexactly(8)
        except (ssl.SSLError, OSError, asyncio.IncompleteReadError):
            pass
        writer.transport.abort()

    async def valkey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while told := await reader.read(4_096):
            self.secured += told
            writer.write(b"+OK\r\n" * told.count(b"*"))
        writer.transport.abort()


@asynccontextmanager
async def listening(
    serve: Serve, context: ssl.SSLContext | None = None, *, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    async with await asyncio.start_server(serve, host, 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.at(tmp_path)


@pytest.fixture
def context(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*authority.pair(tmp_path, "the database"))
    return made


def other_authority(tmp_path: Path) -> Authority:
    (tmp_path / "other").mkdir()
    return Authority.at(tmp_path / "other")


async def asked(port: int, host: str, options: str) -> None:
    with pytest.raises((*LOST, ssl.SSLError)):
        await connect(f"postgresql://counterfoil_app:{PASSWORD}@{host}:{port}/counterfoil?{options}")


async def test_a_database_is_contacted_only_under_tls_if_its_url_says_so(
    authority: Authority, context: ssl.SSLContext, tmp_path: Path
) -> None:
    verified = f"sslmode=verify-full&sslrootcert={authority.file}"
    foreign = f"sslmode=verify-full&sslrootcert={other_authority(tmp_path).file}"
    for options, host, speaks_tls, secured in (
        (verified, "localhost", True, True),
        (verified, "127.0.0.1", True, True),
        (verified, "127.0.0.2", True, False),  # not in the certificate
        (foreign, "localhost", True, False),
        (verified, "localhost", False, False),
        ("sslmode=require", "localhost", False, False),
    ):
        server = Server(context, speaks_tls=speaks_tls)
        async with listening(server.postgres, host=host.replace("localhost", "127.0.0.1")) as port:
            await asked(port, host, options)
        assert server.clear == REQUEST, options
        assert bool(server.secured) is secured, (options, host)


async def test_valkey_is_contacted_only_under_tls_if_its_url_says_so(
    authority: Authority, context: ssl.SSLContext, tmp_path: Path
) -> None:
    for file, heard in ((authority.file, True), (other_authority(tmp_path).file, False)):
        server = Server(context, speaks_tls=True)
        async with listening(server.valkey, context) as port:
            client = Redis.from_url(f"rediss://:{PASSWORD}@localhost:{port}/0?ssl_ca_certs={file}", protocol=2)
            if heard:
                assert await client.set("a", "b")
            else:
                with pytest.raises(RedisAway):
                    await client.set("a", "b")
            await client.aclose()
        assert (PASSWORD.encode() in server.secured) is heard
