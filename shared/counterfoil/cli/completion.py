"""Completion in the shell: tokens, users, scope sets and bulk revocations, read from the ledger.

The shell waits for completion, so it gives up soon and reports no errors.
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


def _offered(found: Callable[[Client, str], AsyncIterator[Offer]]) -> Callable[[typer.Context, str], list[Offer]]:
    """Return the completion that offers what a function finds."""

    def complete(ctx: typer.Context, incomplete: str) -> list[Offer]:
        given = ctx.params.get("credentials")
        offers: list[Offer] = []

        async def collect() -> None:
            there = place(given if isinstance(given, Path) else None)
            async with Client(there.url, there.admin_token, timeout_seconds=_SECONDS) as ledger:
                async for word, says in found(ledger, incomplete):
                    if word and word.startswith(incomplete):
                        offers.append((word, says))

        failures = (Failure, ValueError, OSError, TimeoutError, typer.Exit)
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), suppress(*failures):
            asyncio.run(asyncio.wait_for(collect(), _SECONDS))
        return offers

    return complete


@_offered
async def token_refs(ledger: Client, incomplete: str) -> AsyncIterator[Offer]:
    """Offer tokens by number, the newest first, or by id."""
    async for token in ledger.list(sort="-created", limit=_MOST):
        yield str(token.number), token.name or ""
        if incomplete:
            yield str(token.id), token.name or ""


@_offered
async def token_names(ledger: Client, _: str) -> AsyncIterator[Offer]:
    """Offer tokens by name."""
    async for token in ledger.list(sort="-created", limit=_MOST):
        yield token.name or "", f"{token.owner.type}:{token.owner.id}"


@_offered
async def user_refs(ledger: Client, incomplete: str) -> AsyncIterator[Offer]:
    """Offer users by number, by id or by e-mail address."""
    async for user in ledger.users(limit=_MOST):
        yield str(user.number or ""), user.email or ""
        if incomplete:
            yield str(user.id), user.email or ""
            yield user.email or "", user.role


@_offered
async def emails(ledger: Client, _: str) -> AsyncIterator[Offer]:
    """Offer users by e-mail address."""
    async for user in ledger.users(limit=_MOST):
        yield user.email or "", user.role


@_offered
async def scope_sets(ledger: Client, _: str) -> AsyncIterator[Offer]:
    """Offer sets of scopes by name."""
    async for each in ledger.scope_sets(limit=_MOST):
        yield each.name, each.sentence


@_offered
async def revocations(ledger: Client, _: str) -> AsyncIterator[Offer]:
    """Offer bulk revocations, the latest first."""
    async for revocation in ledger.revocations(limit=_MOST):
        yield str(revocation.id), revocation.status
