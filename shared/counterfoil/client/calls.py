"""What all calls share: one Idempotency-Key for all tries of a change, and lists fetched page by page."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Final, TypeVar

from counterfoil.client import spelling
from counterfoil.client.spelling import Stated
from counterfoil.client.wire import Call, Wire

T = TypeVar("T")
_PAGE: Final = 200


class Calls:
    """The base class of the client's groups of calls."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def changed(
        self,
        kind: type[T],
        path: str,
        body: bytes = b"{}",
        *,
        method: str = "POST",
        key: str | None = None,
        if_match: int | None = None,
        patience_seconds: float = 0.0,
    ) -> T:
        """Request a change, under a fresh Idempotency-Key unless one is given, and return the reply."""
        call = Call(
            method, path, body=body, if_match=if_match,
            key=key or secrets.token_hex(16), changes=True, patience_seconds=patience_seconds,
        )  # fmt: skip
        return await self.sent(kind, call)

    async def fetched(self, kind: type[T], path: str, query: Mapping[str, str] | None = None) -> T:
        """Return the document at a path."""
        return await self.sent(kind, Call("GET", path, query or {}))

    async def sent(self, kind: type[T], call: Call) -> T:
        """Send a call and return its reply."""
        return spelling.read(await self.wire.ask(call), kind)

    async def pages(
        self, path: str, query: Mapping[str, Stated], kind: type[T], *, limit: int | None
    ) -> AsyncIterator[T]:
        """Yield items, fetching page after page, up to `limit`."""
        fields, left = {name: spelling.stated(value) for name, value in query.items()}, limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            call = Call("GET", path, {**fields, "limit": str(size)})
            page = spelling.page(await self.wire.ask(call), kind)
            for item in page.items[:left]:
                yield item
            left = None if left is None else left - len(page.items)
            if page.next_cursor is None:
                return
            fields["cursor"] = page.next_cursor
