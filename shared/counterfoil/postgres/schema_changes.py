"""Repeats statements that fail because of a concurrent migration.

During a migration Postgres may refuse a prepared statement whose column types have changed, a plan may refer to a
dropped object, and two sessions that lock tables in different orders may deadlock. In each case the next try succeeds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import asyncpg

P = ParamSpec("P")
T = TypeVar("T")

OUTDATED: Final = (
    asyncpg.InvalidCachedStatementError,  # "cached plan must not change result type"
    asyncpg.InternalServerError,  # "cache lookup failed for …", "could not open relation with OID …"
    asyncpg.DeadlockDetectedError,
)
"""Errors after which the server has rolled back the statement and its transaction."""
TRIES: Final = 3
"""A migration of several transactions may come between more than once."""

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


class SteadyConnection(_Connection):
    """A connection that repeats a statement after a migration made it fail, unless it is in a transaction."""

    async def execute(self, query: str, *args: Any, **options: Any) -> str:  # noqa: ANN401 - as asyncpg has it
        """Run it and return its status."""
        status: str = await self._steadily(super().execute, query, *args, **options)
        return status

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - likewise
        """Run it and return its rows."""
        return await self._steadily(super().fetch, query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - likewise
        """Run it and return its first row."""
        return await self._steadily(super().fetchrow, query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - likewise
        """Run it and return a value of its first row."""
        return await self._steadily(super().fetchval, query, *args, **options)

    async def _steadily(self, run: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:  # noqa: ANN401 - likewise
        for _ in range(TRIES - 1):
            alone = not self.is_in_transaction()
            try:
                return await run(*args, **options)
            except OUTDATED:
                if not alone or self.is_in_transaction():
                    raise
        return await run(*args, **options)


def repeated(work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Repeat this work if a migration made it fail: it has one transaction, and no effect outside of it."""

    @wraps(work)
    async def steadily(*args: P.args, **options: P.kwargs) -> T:
        for _ in range(TRIES - 1):
            try:
                return await work(*args, **options)
            except OUTDATED:
                continue
        return await work(*args, **options)

    return steadily
