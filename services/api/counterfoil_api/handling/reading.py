"""Reads of handlers: pages, turns for long scans, and the log of reads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from counterfoil.core.cursor import Cursors
from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import NotFound, Overloaded
from counterfoil.core.subjects.account import Account
from counterfoil.core.subjects.subject import SubjectState
from counterfoil.documents.fields import Cursor, Given, Limit
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.scope_catalogue import by_name, those
from counterfoil.uses.access_log import AccessLog
from counterfoil_api.auth.default_account import DefaultAccount

T = TypeVar("T")
P = TypeVar("P")
S = TypeVar("S", bound=SubjectState)

_WAIT_SECONDS: Final = 2.0
"""How long a request waits for its turn; most scans take milliseconds."""
_RETRY_SECONDS: Final = 10
_TOO_MANY: Final = "Too many calls are reading very many tokens; nothing was changed, try again."


class PageQuery(Given, frozen=True, kw_only=True):
    """A page."""

    limit: Limit = 50
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The connections that handlers read with, the log of reads, and the makers of opaque cursors and ids."""

    pool: Pool
    access_log: AccessLog
    cursors: Cursors
    opaque_ids: OpaqueIds
    default_account: DefaultAccount
    scans: asyncio.Semaphore
    """Limits how many scans of very many tokens run at once."""

    def after(self, caller: Principal, question: object, cursor: str | None, place: type[P]) -> P | None:
        """Return the place that the page of this cursor follows; None without a cursor. Raises BadCursor."""
        return None if cursor is None else msgspec.convert(self.cursors.place(caller.account, question, cursor), place)

    def page(
        self, caller: Principal, question: object, found: list[T], *, limit: int, place: Callable[[T], list[Any]]
    ) -> tuple[list[T], str | None]:
        """Return at most `limit` of what was found, and a cursor to the rest if there is more."""
        page = found[:limit]
        return page, self.cursors.made(caller.account, question, place(page[-1])) if len(found) > limit else None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn to scan: a scan holds a reading connection for up to minutes. Raises Overloaded."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self.scans.acquire()
        except TimeoutError:
            raise Overloaded(_TOO_MANY, retry_after=_RETRY_SECONDS) from None
        try:
            yield
        finally:
            self.scans.release()

    async def page_by_name(
        self, caller: Principal, kind: tuple[str, type[S]], query: PageQuery
    ) -> tuple[list[S], str | None]:
        """Return a page of the account's active subjects of a kind, by name, and a cursor to the rest."""
        after = self.after(caller, kind[0], query.cursor, tuple[str])
        found = await by_name(self.pool, caller.account, kind, after=after[0] if after else None, limit=query.limit + 1)
        return self.page(caller, kind[0], found, limit=query.limit, place=lambda each: [each.name])


async def own_account(reading: Reading, caller: Principal) -> Account:
    found = await those(reading.pool, caller.account, [caller.account], Account)
    if not found:
        raise NotFound
    return found[0]
