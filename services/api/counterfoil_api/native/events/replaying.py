"""The present log: a page of it, or all of it line by line."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from counterfoil.postgres.sealed_log import SealedEvent
from counterfoil_api.events.held_callers import HeldCaller
from counterfoil_api.events.lines import document, lines, place
from counterfoil_api.events.streams import Streams
from counterfoil_api.native.events.documents import LogPage
from counterfoil_api.native.events.log_request import LogRequest

_WINDOW: Final = 1_000
_CHUNK: Final = 100
"""Events that are sent together: some 64 KB."""
_PATIENCE_SECONDS: Final = 2.0
"""How long a page searches for events of its filter. It may be empty, and still lead to the next page."""
_CHECK_SECONDS: Final = 1.5
"""Between two checks of the caller."""
_SILENCE_SECONDS: Final = 5.0
"""The longest silence while a filter hides everything."""


async def page(request: LogRequest, limit: int) -> LogPage:
    """Return at most `limit` events; fewer after a long search, with the position that it reached."""
    until = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    events: list[SealedEvent] = []
    after = request.after
    while after < request.head and len(events) < limit:
        found = await request.window(after=after, limit=limit - len(events))
        events += found.events
        after = found.reached
        if asyncio.get_running_loop().time() > until:
            break
    await request.record(last=after, rows=len(events))
    return LogPage(items=[document(event, request.sight) for event in events], after=after, head=request.head)


async def replay(streams: Streams, request: LogRequest, caller: HeldCaller) -> AsyncGenerator[bytes, None]:
    """Yield everything up to the head, in chunks of lines. The last line is at the head, whatever a filter hides.

    A log may take minutes to read: the answer breaks off when the caller loses access, or when the process ends.
    """
    loop = asyncio.get_running_loop()
    after, sent = request.after, request.after
    sent_at = checked_at = loop.time()

    async def check_caller() -> None:
        nonlocal checked_at
        if loop.time() - checked_at > _CHECK_SECONDS:
            await streams.refuse_gone(caller)
            checked_at = loop.time()

    while after < request.head:
        await check_caller()
        found = await request.window(after=after, limit=_WINDOW)
        for begin in range(0, len(found.events), _CHUNK):
            await check_caller()  # a slow reader takes minutes over one window
            yield lines(found.events[begin : begin + _CHUNK], request.sight)
        if found.events:
            sent, sent_at = found.events[-1].position, loop.time()
        request.note(first=after + 1, last=found.reached, rows=len(found.events))
        after = found.reached
        if sent < after and (after == request.head or loop.time() - sent_at > _SILENCE_SECONDS):
            yield place(after)
            sent, sent_at = after, loop.time()
