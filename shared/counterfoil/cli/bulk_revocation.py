"""`counterfoil token revoke-many`, and the bulk revocations that it starts."""

from __future__ import annotations

import asyncio
import shlex
from typing import Annotated, Final

import typer

from counterfoil.cli.commands import Commands
from counterfoil.cli.completion import revocations
from counterfoil.cli.display import Facts, owner_of, show, show_facts, time_of
from counterfoil.cli.errors import REFUSED, remark, warn
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import Key, Limit
from counterfoil.cli.output import say_json
from counterfoil.cli.progress import progress
from counterfoil.cli.tables import Columns, show_list
from counterfoil.cli.token_display import PLANNED
from counterfoil.cli.token_filters import TokenFilters
from counterfoil.client import Client, Denied
from counterfoil.client.documents import BulkRevocation, OwnerPlanned, Plan

app = Commands(help="Bulk revocations: watch them, cancel them.", no_args_is_help=True)

_LOOK_SECONDS: Final = 0.5
BulkRevocationId = Annotated[
    str,
    typer.Argument(help="The id that `revoke-many --execute` printed.", metavar="JOB", autocompletion=revocations),
]


def revoke_many(
    *,
    filters: TokenFilters,
    status: Annotated[str | None, typer.Option(help="active, suspended or expired.")] = None,
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
    ledger: Ledger,
) -> None:
    """Revoke all tokens that match: first show a plan, then execute exactly this plan."""
    wanted = filters.stated(status=status, everything=everything or None, with_children=with_children or None)
    if not execute:
        _show_plan(ledger.ask(lambda api: api.plan_revocation(**wanted)), as_json=ledger.as_json)
        return
    if plan is None or reason is None:
        raise typer.BadParameter(
            "To execute, give the --plan that this command printed without --execute, and a --reason."
        )
    revocation = ledger.ask(lambda api: api.revoke_many(plan, reason=reason, idempotency_key=key, **wanted))
    _show_revocation(_watched(revocation, ledger) if wait else revocation, as_json=ledger.as_json)


@app.command("list")
def list_revocations(*, limit: Limit = None, ledger: Ledger) -> None:
    """List bulk revocations, the latest first."""
    ledger.list(lambda api, most: api.revocations(limit=most), _REVOCATIONS, limit)


@app.command()
def watch(revocation: BulkRevocationId, *, ledger: Ledger) -> None:
    """Watch a bulk revocation until it ends."""
    found = ledger.ask(lambda api: api.revocation(revocation))
    _show_revocation(_watched(found, ledger), as_json=ledger.as_json)


@app.command()
def cancel(revocation: BulkRevocationId, *, ledger: Ledger) -> None:
    """Cancel a bulk revocation; its remaining tokens stay as they are."""
    _show_revocation(ledger.ask(lambda api: api.cancel_revocation(revocation)), as_json=ledger.as_json)


def _watched(revocation: BulkRevocation, ledger: Ledger) -> BulkRevocation:
    async def watch(api: Client) -> BulkRevocation:
        seen = revocation
        with progress("revoking") as moved:
            while not seen.over:
                await asyncio.sleep(_LOOK_SECONDS)
                try:
                    seen = await api.revocation(seen.id)
                except Denied:
                    warn("the bulk revocation has revoked the token that you are using; it goes on unwatched.")
                    break
                moved(seen.done, seen.total + seen.found)
        return seen

    return ledger.ask(watch)


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        say_json(plan)
        return
    used = plan.used
    show_facts([
        ("tokens", f"{plan.tokens:,}"),
        ("used", f"{used.hour:,} within an hour, {used.day:,} a day, {used.week:,} a week; {used.never:,} never"),
        ("plan", plan.plan),
    ])  # fmt: skip
    if plan.owners:
        show_list(plan.owners, _OWNERS, as_json=False)
        show_list(plan.used_last, PLANNED, as_json=False)
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
    show(revocation, _facts, as_json=as_json)
    if revocation.failed:
        raise typer.Exit(REFUSED)


def _took(revocation: BulkRevocation) -> str:
    if revocation.started_at is None or revocation.ended_at is None:
        return ""
    seconds = (revocation.ended_at - revocation.started_at).total_seconds()
    return f"{seconds:.1f} s ({revocation.per_second or 0:,.0f} a second)"


def _facts(revocation: BulkRevocation) -> Facts:
    return [
        ("bulk revocation", str(revocation.id)), ("status", revocation.status),
        ("tokens", f"{revocation.total + revocation.found:,}"), ("revoked", f"{revocation.revoked:,}"),
        ("already", f"{revocation.already:,}" if revocation.already else ""),
        ("failed", f"{revocation.failed:,}" if revocation.failed else ""), ("took", _took(revocation)),
    ]  # fmt: skip


_OWNERS: Final[Columns[OwnerPlanned]] = {
    "owner": lambda planned: owner_of(planned.owner),
    "tokens": lambda planned: f"{planned.tokens:,}",
    "used in 7 days": lambda planned: f"{planned.used_in_week:,}",
}
_REVOCATIONS: Final[Columns[BulkRevocation]] = {
    "bulk revocation": lambda revocation: str(revocation.id),
    "status": lambda revocation: revocation.status,
    "tokens": lambda revocation: str(revocation.total + revocation.found),
    "done": lambda revocation: str(revocation.done),
    "failed": lambda revocation: str(revocation.failed),
    "accepted": lambda revocation: time_of(revocation.created_at),
    "reason": lambda revocation: revocation.reason or "(erased)",
}
