"""Commands that only read: the list of tokens, one token, its events, and the alerts."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from counterfoil.cli.calls import ask
from counterfoil.cli.completion import token_names
from counterfoil.cli.display import show, show_alerts, show_events, show_tokens
from counterfoil.cli.errors import warn
from counterfoil.cli.options import (
    AsJson,
    CreatedAfter,
    CreatedBefore,
    CreatorFilter,
    Credentials,
    ExpiresAfter,
    ExpiresBefore,
    IssuerFilter,
    Limit,
    MetadataFilter,
    OwnerFilter,
    Ref,
    UnusedFor,
    Within,
    moment_or_version,
    time_filter,
)
from counterfoil.cli.options import owner as owner_of
from counterfoil.cli.output import say_json
from counterfoil.client import Client
from counterfoil.core import glob

T = TypeVar("T")
PAGE: Final = 50
"""Rows in a table without --limit."""


def tokens(
    *,
    name: Annotated[str | None, typer.Option(help=glob.MEANING, autocompletion=token_names)] = None,
    status: Annotated[str | None, typer.Option(help="active, suspended, expired or revoked.")] = None,
    owner: OwnerFilter = None,
    owner_type: Annotated[
        str | None, typer.Option(help="Only tokens of users, applications or services: user, application or service.")
    ] = None,
    creator: CreatorFilter = None,
    issuer: IssuerFilter = None,
    scope: Annotated[str | None, typer.Option(help="Only tokens with this scope.")] = None,
    metadata: MetadataFilter = None,
    unused_for: UnusedFor = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    expires_after: ExpiresAfter = None,
    expires_before: ExpiresBefore = None,
    last_used_after: Annotated[
        datetime | None, time_filter("--last-used-after", "From then on; 7d: within 7 days.")
    ] = None,
    last_used_before: Annotated[
        datetime | None, time_filter("--last-used-before", "Before then; 7d: over 7 days ago.")
    ] = None,
    sort: Annotated[
        str, typer.Option(help="created, name, expires, updated, last_used or number; - reverses.")
    ] = "created",
    limit: Limit = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """List tokens. Secrets are never shown."""
    given = {
        "name": name, "status": status, "owner_type": owner_type, "creator": creator,
        "issuer": issuer, "scope": scope, "metadata": metadata, "unused_since": unused_for,
        "created_after": created_after, "created_before": created_before, "expires_after": expires_after,
        "expires_before": expires_before, "last_used_after": last_used_after, "last_used_before": last_used_before,
    }  # fmt: skip
    if (whose := owner_of(owner)) is not None:
        given |= {"owner_type": whose[0], "owner_id": whose[1]}
    query = {key: value for key, value in given.items() if value is not None}
    listed(
        lambda ledger, most: ledger.list(limit=most, sort=sort, **query),
        show_tokens, limit, credentials, as_json=as_json,
    )  # fmt: skip


def token(
    ref: Ref,
    *,
    as_of: Annotated[str | None, typer.Option(help="A past moment, or a version.")] = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Show a token as it is, or as it was."""
    when = None if as_of is None else moment_or_version(as_of)
    show(ask(lambda ledger: ledger.get(ref, as_of=when), credentials=credentials, as_json=as_json), as_json=as_json)


def events(ref: Ref, *, limit: Limit = None, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Show the events of a token, in order."""
    listed(lambda ledger, most: ledger.token_events(ref, limit=most), show_events, limit, credentials, as_json=as_json)


def alerts(
    *,
    within: Within = None,
    creator: CreatorFilter = None,
    limit: Limit = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Show which tokens expire soon or expired within 30 days, the most urgent first.

    A notice is raised only if the token's lifetime is longer. Without --within, a line on stderr counts the tokens that
    expire within a day without a notice.
    """
    listed(
        lambda ledger, most: ledger.alerts(within=within, creator=creator, limit=most),
        show_alerts, limit, credentials, as_json=as_json,
    )  # fmt: skip
    if within is None and (more := _unannounced(creator, credentials, as_json=as_json)):
        made = f" --creator {shlex.quote(creator)}" if creator else ""
        warn(
            f"{more:,} tokens expire within a day without a notice; see them with: counterfoil alerts --within 1d{made}"
        )


def _unannounced(creator: str | None, credentials: Path | None, *, as_json: bool) -> int:
    return ask(lambda ledger: ledger.unannounced(creator=creator), credentials=credentials, as_json=as_json)


def listed(
    listing: Callable[[Client, int | None], AsyncIterator[T]],
    show_all: Callable[[Sequence[T]], None],
    limit: int | None,
    credentials: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print a list: a page for people, or with --json all of it, one item a line."""

    async def stream(ledger: Client) -> None:
        async for item in listing(ledger, limit):
            say_json(item)

    async def collect(ledger: Client) -> list[T]:
        # One more than is shown, to know whether there are more.
        return [item async for item in listing(ledger, (limit or PAGE) + 1)]

    if as_json:
        ask(stream, credentials=credentials, as_json=True)
        return
    found = ask(collect, credentials=credentials, as_json=False)
    if not found:
        sys.stderr.write("There is nothing to show.\n")
        return
    show_all(found[: limit or PAGE])
    if len(found) > (limit or PAGE):
        warn(f"there are more than these {limit or PAGE}; see them with --limit.")
