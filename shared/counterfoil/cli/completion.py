"""Completion in the shell: tokens, users, scope sets and bulk revocations, read from the ledger.

A shell waits for this, so it is short of time, and silent about whatever goes wrong.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Final

import typer

from counterfoil.cli.calls import place
from counterfoil.client import Client, Failure

Offer = tuple[str, str]
"""A word and its description."""
_SECONDS: Final = 1.5
_MOST: Final = 100


def token_refs(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer tokens by number, the newest first, or by id."""

    async def found(ledger: Client) -> AsyncIterator[Offer]:
        async for token in ledger.list(sort="-created", limit=_MOST):
            yield str(token.number), token.name or ""
            if incomplete:
                yield str(token.id), token.name or ""

    return _starting(incomplete, ctx, found)


def token_names(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer tokens by name."""

    async def found(ledger: Client) -> AsyncIterator[Offer]:
        async for token in ledger.list(sort="-created", limit=_MOST):
            yield token.name or "", f"{token.owner.type}:{token.owner.id}"

    return _starting(incomplete, ctx, found)


def user_refs(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer users by number, by id or by e-mail address."""

    async def found(ledger: Client) -> AsyncIterator[Offer]:
        async for user in ledger.users(limit=_MOST):
            yield str(user.number or ""), user.email or ""
            if incomplete:
                yield str(user.id), user.email or ""
                yield user.email or "", user.role

    return _starting(incomplete, ctx, found)


def emails(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer users by e-mail address."""

    async def found(ledger: Client) -> AsyncIterator[Offer]:
        async for user in ledger.users(limit=_MOST):
            yield user.email or "", user.role

    return _starting(incomplete, ctx, found)


def scope_sets(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer sets of scopes by name."""

    async def found(ledger: Client) -> AsyncIterator[Offer]:
        async for each in ledger.scope_sets(limit=_MOST):
            yield each.name, each.sentence

    return _starting(incomplete, ctx, found)


def revocations(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Offer bulk revocations, the latest first."""

    async def found(ledger: Client) -> AsyncIterator[Offer]:
        async for revocation in ledger.revocations(limit=_MOST):
            yield str(revocation.id), revocation.status

    return _starting(incomplete, ctx, found)


def _starting(incomplete: str, ctx: typer.Context, found: Callable[[Client], AsyncIterator[Offer]]) -> list[Offer]:
    given = ctx.params.get("credentials")
    offers: list[Offer] = []

    async def collect() -> None:
        async with Client(*place(given if isinstance(given, Path) else None), timeout_seconds=_SECONDS) as ledger:
            async for word, says in found(ledger):
                if word and word.startswith(incomplete):
                    offers.append((word, says))

    failures = (Failure, ValueError, OSError, TimeoutError, typer.Exit)
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), suppress(*failures):
        asyncio.run(asyncio.wait_for(collect(), _SECONDS))
    return offers
