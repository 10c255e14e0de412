"""An absent service is reported soon and plainly; a lost reply is requested again for longer."""

import asyncio
import socket
import time

import aiohttp
import pytest

from counterfoil.client import Client, Unreachable
from counterfoil.client.wire import Call


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_an_absent_service_is_given_up_long_before_the_timeout() -> None:
    port, began = free_port(), time.monotonic()
    async with Client(f"http://127.0.0.1:{port}", "cfl_x", timeout_seconds=60, refused_seconds=0.3) as client:
        with pytest.raises(Unreachable) as unreachable:
            await client.create("nightly")
    assert time.monotonic() - began < 30
    assert client.wire.trouble == str(unreachable.value)
    assert str(unreachable.value) == (
        f"http://127.0.0.1:{port} cannot be reached: nothing listens at 127.0.0.1 port {port}"
    )


async def test_a_name_without_an_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", unknown)
    async with Client("http://nobody.example", "cfl_x", refused_seconds=0.1) as client:
        with pytest.raises(Unreachable, match=r"^http://nobody\.example cannot be reached: no address is known for"):
            await client.get("self")


async def test_a_lost_reply_is_requested_again_while_the_service_restarts() -> None:
    port, arrived = free_port(), asyncio.Event()

    async def lose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        writer.close()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    first = await asyncio.start_server(lose, "127.0.0.1", port)
    async with Client(f"http://127.0.0.1:{port}", "cfl_x", timeout_seconds=60, refused_seconds=0.01) as client:
        call = asyncio.create_task(client.wire.ask(Call("POST", "/v1/tokens", key="k" * 32, changes=True)))
        await arrived.wait()
        first.close()
        await first.wait_closed()
        await asyncio.sleep(0.5)
        assert not call.done()
        async with await asyncio.start_server(answer, "127.0.0.1", port):
            assert (await call).content == b"{}"


async def test_a_tls_failure_names_the_untrusted_host() -> None:
    async def speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Client(url, "cfl_x", refused_seconds=0.1, timeout_seconds=5) as client:
            with pytest.raises(Unreachable) as untrusted:
                await client.get("self")
    assert str(untrusted.value).startswith(f"{url} cannot be trusted: ")
    assert "ssl:" not in str(untrusted.value)


@pytest.mark.parametrize("url", ["http://user:secret@ledger.example", "cfl_user_x"])
def test_a_secret_given_in_place_of_a_url_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="write it like https://ledger") as error:
        Client(url, "cfl_x")
    assert url not in str(error.value)
