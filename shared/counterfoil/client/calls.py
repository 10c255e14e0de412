"""What all calls have in common: one key over the tries of a change, and pages fetched one after the other."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Final, TypeVar

from counterfoil.client import spelling
from counterfoil.client.spelling import Stated
from counterfoil.client.wire import Answer, Call, Wire

T = TypeVar("T")
_PAGE: Final = 200


class Calls:
    """What the parts of the client stand on."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def change(
        self,
        path: str,
        body: bytes,
        *,
        method: str = "POST",
        key: str | None = None,
        if_match: int | None = None,
        patience_seconds: float = 0.0,
    ) -> Answer:
        """Ask for a change, under a fresh Idempotency-Key unless one is given."""
        call = Call(
            method, path, body=body, if_match=if_match,
            key=key or secrets.token_hex(16), changes=True, patience_seconds=patience_seconds,
        )  # fmt: skip
        return await self.wire.ask(call)

    async def pages(
        self, path: str, query: Mapping[str, Stated], kind: type[T], *, limit: int | None
    ) -> AsyncIterator[T]:
        """Yield items, fetching page after page, up to `limit`."""
        asked, left = {name: spelling.stated(value) for name, value in query.items()}, limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            call = Call("GET", path, {**asked, "limit": str(size)})
            items, cursor = spelling.page(await self.wire.ask(call), kind)
            for item in items[:left]:
                yield item
            left = None if left is None else left - len(items)
            if cursor is None:
                return
            asked["cursor"] = cursor
