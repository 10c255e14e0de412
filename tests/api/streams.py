"""Clients of live streams in tests: lines as they arrive, in either format."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import ClientResponse, ClientTimeout

from api.service import Caller

BOUNDED_SECONDS = 30
SSE = {"Accept": "text/event-stream"}


@dataclass(slots=True)
class Following:
    """An open stream and its end."""

    answer: ClientResponse
    sse: bool = False
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def head(self) -> int:
        return int(self.answer.headers["Log-Head"])

    @property
    def events(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "entry" in line]

    @property
    def positions(self) -> list[int]:
        return [line["position"] for line in self.events]

    async def next(self) -> dict[str, Any] | None:
        """The next line, or block as one line; None at the end."""
        async with asyncio.timeout(BOUNDED_SECONDS):
            found = await self._block() if self.sse else await self._line()
        if found is not None:
            self.lines.append(found)
        return found

    async def until(self, position: int) -> None:
        """Read up to a position."""
        async with asyncio.timeout(BOUNDED_SECONDS):
            while not self.lines or self.lines[-1].get("position", 0) < position:
                assert await self.next() is not None, f"ended after {self.lines[-1:]}"

    async def find(self, text: str) -> dict[str, Any]:
        """Read up to the event whose entry contains this."""
        async with asyncio.timeout(BOUNDED_SECONDS):
            while text not in self.lines[-1].get("entry", "") if self.lines else True:
                assert await self.next() is not None, f"ended after {self.lines[-1:]}"
        return self.lines[-1]

    async def end(self) -> dict[str, Any] | None:
        """Read to the end, and return the last line."""
        while await self.next() is not None:
            pass
        return self.lines[-1] if self.lines else None

    async def _line(self) -> dict[str, Any] | None:
        raw = await self.answer.content.readline()
        assert not raw or raw.endswith(b"\n")
        return msgspec.json.decode(raw, type=dict[str, Any]) if raw else None

    async def _block(self) -> dict[str, Any] | None:
        """One block of Server-Sent Events: its fields, and those of its data."""
        fields: dict[str, Any] = {}
        while raw := await self.answer.content.readline():
            text = raw.decode().removesuffix("\n")
            if not text:
                data = msgspec.json.decode(fields.pop("data", "{}"), type=dict[str, Any])
                position = {"position": int(fields["id"])} if "id" in fields else {}
                assert "position" not in data or data["position"] == position["position"]
                return fields | position | data
            name, _, value = text.partition(": ")
            assert name not in fields
            fields[name] = value
        assert not fields
        return None


@asynccontextmanager
async def following(
    caller: Caller,
    *,
    sse: bool = False,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    **more: str | int,
) -> AsyncIterator[Following]:
    """Follow the log from `after` on; returns when the answer has begun."""
    wanted = {**({} if sse else {"follow": "true"}), **(query or {}), **more}
    given = {"Authorization": caller.credentials, **caller.headers, **(SSE if sse else {}), **(headers or {})}
    patience = ClientTimeout(total=None, sock_read=BOUNDED_SECONDS)
    path = f"/v1/events?{urlencode(wanted)}"
    async with caller.session.get(path, headers=given, timeout=patience, read_bufsize=2**20) as answer:
        assert answer.status == 200, await answer.read()
        yield Following(answer, sse)
