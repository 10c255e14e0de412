"""`counterfoil token revoke-many`, and the bulk revocations that it starts."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from counterfoil.cli import options
from counterfoil.cli.calls import ask
from counterfoil.cli.completion import revocations, token_names
from counterfoil.cli.display import facts, show_planned, time_of
from counterfoil.cli.errors import REFUSED, remark, warn
from counterfoil.cli.lists import PAGE
from counterfoil.cli.options import (
    AsJson,
    CreatedAfter,
    CreatedBefore,
    CreatorFilter,
    Credentials,
    ExpiresAfter,
    ExpiresBefore,
    IssuerFilter,
    Key,
    Limit,
    MetadataFilter,
    OwnerFilter,
    UnusedFor,
)
from counterfoil.cli.output import json_of, say, say_json
from counterfoil.cli.tables import table
from counterfoil.client import BulkRevocation, Client, Denied, Plan
from counterfoil.core import glob

app = typer.Typer(help="Bulk revocations: watch them, cancel them.", no_args_is_help=True)

_LOOK_SECONDS: Final = 0.5
BulkRevocationId = Annotated[
    str,
    typer.Argument(help="The id that `revoke-many --execute` printed.", metavar="JOB", autocompletion=revocations),
]


def revoke_many(
    *,
    owner: OwnerFilter = None,
    creator: CreatorFilter = None,
    issuer: IssuerFilter = None,
    name: Annotated[str | None, typer.Option(help=glob.MEANING, autocompletion=token_names)] = None,
    status: Annotated[str | None, typer.Option(help="active, suspended or expired.")] = None,
    scope: Annotated[str | None, typer.Option(help="Only tokens with this scope.")] = None,
    metadata: MetadataFilter = None,
    unused_for: UnusedFor = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    expires_after: ExpiresAfter = None,
    expires_before: ExpiresBefore = None,
    with_children: Annotated[
        bool, typer.Option("--with-children", help="Also the tokens that these made, at any depth.")
    ] = False,
    everything: Annotated[bool, typer.Option("--everything", help="Every token of the account.")] = False,
    execute: Annotated[
        bool, typer.Option("--execute", help="Revoke the tokens; without this the command only shows them.")
    ] = False,
    plan: Annotated[str | None, typer.Option(help="The plan that this command printed without --execute.")] = None,
    reason: Annotated[str | None, typer.Option(help="The reason, for the log.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is finished.")] = True,
    key: Key = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Revoke all tokens that match: first show a plan, then execute exactly this plan."""
    whose = options.owner(owner)
    wanted: dict[str, str | bool | datetime | list[str] | None] = {
        "owner_type": whose and whose[0], "owner_id": whose and whose[1], "creator": creator, "name": name,
        "issuer": issuer, "status": status, "scope": scope, "metadata": metadata, "unused_since": unused_for,
        "created_after": created_after, "created_before": created_before, "expires_after": expires_after,
        "expires_before": expires_before, "everything": everything or None,
        "with_children": with_children or None,
    }  # fmt: skip
    said = {field: value for field, value in wanted.items() if value is not None}
    if not execute:
        found = ask(lambda ledger: ledger.plan_revocation(**said), credentials=credentials, as_json=as_json)
        _show_plan(found, as_json=as_json)
        return
    if plan is None or reason is None:
        raise typer.BadParameter(
            "To execute, give the --plan that this command printed without --execute, and a --reason."
        )
    revocation = ask(
        lambda ledger: ledger.revoke_many(plan, reason=reason, idempotency_key=key, **said),
        credentials=credentials, as_json=as_json,
    )  # fmt: skip
    if wait:
        revocation = _watched(revocation, credentials, as_json=as_json)
    _show_revocation(revocation, as_json=as_json)


@app.command("list")
def list_revocations(*, limit: Limit = None, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """List bulk revocations, the latest first."""

    async def collect(ledger: Client) -> list[BulkRevocation]:
        return [revocation async for revocation in ledger.revocations(limit=limit or PAGE)]

    revocations = ask(collect, credentials=credentials, as_json=as_json)
    if as_json:
        say("".join(json_of(revocation) + "\n" for revocation in revocations))
        return
    table(
        ("bulk revocation", "status", "tokens", "done", "failed", "accepted", "reason"),
        (
            (str(revocation.id), revocation.status, str(revocation.total + revocation.found),
             str(revocation.done), str(revocation.failed), time_of(revocation.created_at),
             revocation.reason or "(erased)")
            for revocation in revocations
        ),
    )  # fmt: skip


@app.command()
def watch(revocation: BulkRevocationId, *, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Watch a bulk revocation until it ends."""
    found = ask(lambda ledger: ledger.revocation(revocation), credentials=credentials, as_json=as_json)
    _show_revocation(_watched(found, credentials, as_json=as_json), as_json=as_json)


@app.command()
def cancel(revocation: BulkRevocationId, *, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Cancel a bulk revocation; its remaining tokens stay as they are."""
    _show_revocation(
        ask(lambda ledger: ledger.cancel_revocation(revocation), credentials=credentials, as_json=as_json),
        as_json=as_json,
    )


def _watched(revocation: BulkRevocation, credentials: Path | None, *, as_json: bool) -> BulkRevocation:
    async def watch(ledger: Client) -> BulkRevocation:
        seen = revocation
        with _bar(revocation.total + revocation.found) as moved:
            while not seen.over:
                await asyncio.sleep(_LOOK_SECONDS)
                try:
                    seen = await ledger.revocation(seen.id)
                except Denied:
                    warn("the bulk revocation has revoked the token that you are using; it goes on unwatched.")
                    break
                moved(seen.done)
        return seen

    return ask(watch, credentials=credentials, as_json=as_json)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr, if that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 - not every command has a bar
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("revoking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("revoking", total=total)
        yield lambda done: progress.update(task, completed=done)


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        say_json(plan)
        return
    used = plan.used
    facts([
        ("tokens", f"{plan.tokens:,}"),
        ("used", f"{used.hour:,} within an hour, {used.day:,} a day, {used.week:,} a week; {used.never:,} never"),
        ("plan", plan.plan),
    ])  # fmt: skip
    if plan.owners:
        table(
            ("owner", "tokens", "used in 7 days"),
            ((f"{o.owner.type}:{o.owner.id}", f"{o.tokens:,}", f"{o.used_in_week:,}") for o in plan.owners),
        )
        show_planned(plan.used_last)
    if plan.left_alone:
        warn(f"{plan.left_alone:,} tokens that these made belong to owners whose tokens you may not end: left alone")
    if plan.includes_yourself:
        warn("the token that you are using is among them.")
    if not plan.tokens:
        remark("There is nothing to revoke.")
        return
    remark("Nothing was changed. To revoke exactly these, repeat this command with:")
    remark(f"  --execute --plan {plan.plan} --reason {shlex.quote('…')}")


def _show_revocation(revocation: BulkRevocation, *, as_json: bool) -> None:
    if as_json:
        say_json(revocation)
    else:
        facts([
            ("bulk revocation", str(revocation.id)), ("status", revocation.status),
            ("tokens", f"{revocation.total + revocation.found:,}"), ("revoked", f"{revocation.revoked:,}"),
            ("already", f"{revocation.already:,}" if revocation.already else ""),
            ("failed", f"{revocation.failed:,}" if revocation.failed else ""),
            ("took", _took(revocation)),
        ])  # fmt: skip
    if revocation.failed:
        raise typer.Exit(REFUSED)


def _took(revocation: BulkRevocation) -> str:
    if revocation.started_at is None or revocation.ended_at is None:
        return ""
    seconds = (revocation.ended_at - revocation.started_at).total_seconds()
    return f"{seconds:.1f} s ({revocation.per_second or 0:,.0f} a second)"
