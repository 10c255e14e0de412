"""`counterfoil alerts forecast` and `spread`: how many tokens expire each day, and new expiries where too many do."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
import typer

from counterfoil.cli import options
from counterfoil.cli.bar_chart import Bar, show_bars
from counterfoil.cli.commands import Options
from counterfoil.cli.display import owner_of, span, time_of
from counterfoil.cli.errors import REFUSED, remark, warn
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import CreatorFilter, OwnerFilter
from counterfoil.cli.output import say, say_json
from counterfoil.cli.progress import progress
from counterfoil.cli.tables import Columns, show_list
from counterfoil.client import Client, Denied, Refused, Unavailable
from counterfoil.client.documents import Cliff, Forecast, ForecastDay, Move, SpreadPlan

_AT_ONCE: Final = 16
"""Renewals that are under way together."""


class CliffOptions(Options, frozen=True, kw_only=True):
    """The days of a forecast, and when used tokens that expire together are a cliff."""

    owner: OwnerFilter = None
    creator: CreatorFilter = None
    days: Annotated[int, typer.Option(min=1, max=400, help="How many days, today among them, in UTC.")] = 90
    window: Annotated[
        str,
        typer.Option(parser=options.span, metavar="DURATION", help="Used tokens that expire within it break together."),
    ] = "24h"
    min_used: Annotated[int, typer.Option(min=2, help="A cliff has at least so many used tokens.")] = 10
    min_percent: Annotated[
        int, typer.Option(min=1, max=100, help="And at least this share of all used tokens that expire in these days.")
    ] = 20

    async def forecast(self, api: Client) -> Forecast:
        """Return the forecast with these options."""
        return await api.forecast(owner=options.owner(self.owner), **self._numbers())

    async def plan(self, api: Client) -> SpreadPlan:
        """Return the plan that spreads the cliffs of the forecast with these options."""
        return await api.plan_spread(owner=options.owner(self.owner), **self._numbers())

    def _numbers(self) -> dict[str, str | int | None]:
        return {name: value for name, value in msgspec.structs.asdict(self).items() if name != "owner"}


class RefusedMove(msgspec.Struct, frozen=True, kw_only=True):
    """A token whose expiry was not moved, and why."""

    number: int
    problem: str
    detail: str


class SpreadReport(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens have new expiries, the refused ones, and how many used tokens still are too many."""

    moved: int
    refused: list[RefusedMove]
    left_over: int


def forecast(*, chosen: CliffOptions, ledger: Ledger) -> None:
    """Show how many tokens expire on each of the next days, as a bar chart; used ones are drawn full."""
    found = ledger.ask(chosen.forecast)
    warn_of_cliffs(found)
    if ledger.as_json:
        say_json(found)
    elif found.tokens:
        show_bars([_bar(day) for day in found.days if day.tokens], heads=("day", "tokens", "used", "owners"))
    else:
        remark(f"No token expires within {chosen.days} days.")


def warn_of_cliffs(found: Forecast) -> None:
    """Print a warning on stderr for each cliff."""
    for cliff in found.cliffs:
        warn(f"{_cliff(cliff)}; spread them with: counterfoil alerts spread")


def spread(
    *,
    chosen: CliffOptions,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan; nothing is changed.")] = False,
    ledger: Ledger,
) -> None:
    """Spread the expiries of used tokens where many of them expire together, by renewing them one by one.

    A token moves by whole windows, later or earlier, but at least 7 days from now, and never beyond what the account's
    policy and the caller allow. After an interruption, run the command again: it continues with the remaining tokens.
    """
    if dry_run:
        _show_plan(ledger.ask(chosen.plan), as_json=ledger.as_json)
        return
    report = ledger.ask(lambda api: _carry_out(api, chosen))
    if ledger.as_json:
        say_json(report)
    else:
        say(f"{report.moved:,} moved, {len(report.refused):,} refused\n")
        _remark_left_over(report.left_over)
        for each in report.refused:
            warn(f"token {each.number} keeps its expiry: {each.detail}")
    if report.refused:
        raise typer.Exit(REFUSED)


async def _carry_out(api: Client, chosen: CliffOptions) -> SpreadReport:
    """Carry out plans until one has nothing to move, or none of its renewals succeeds.

    Two commands that run at once carry out the same plan; a token that the other one has moved is in no later plan.
    """
    moved, failed, plan = 0, list[RefusedMove](), await chosen.plan(api)
    with progress("spreading") as show:
        while plan.moves:
            before, failed = moved, []
            for start in range(0, len(plan.moves), _AT_ONCE):
                some = plan.moves[start : start + _AT_ONCE]
                refused = [each for each in await asyncio.gather(*(_renewed(api, move) for move in some)) if each]
                failed += refused
                moved += len(some) - len(refused)
                show(moved, before + len(plan.moves))
            plan = await chosen.plan(api)
            if moved == before:
                break
    return _report(moved, failed, plan)


def _report(moved: int, failed: list[RefusedMove], last: SpreadPlan) -> SpreadReport:
    still = {move.number for move in last.moves}
    never = [RefusedMove(number=each.number, problem=each.problem, detail=each.detail) for each in last.refused]
    refused = [*(each for each in failed if each.number in still), *never]
    return SpreadReport(moved=moved, refused=refused, left_over=last.left_over)


async def _renewed(api: Client, move: Move) -> RefusedMove | None:
    """Renew a token of the plan; return the refusal. A renewal of a token that was changed meanwhile is refused."""
    try:
        await api.renew(move.id, expires_at=move.new_expires_at, keeps_lifetime=True, if_match=move.revision)
    except (Denied, Unavailable):
        raise  # all others would be refused, too
    except Refused as refused:
        return RefusedMove(number=move.number, problem=refused.name, detail=refused.detail or refused.title)
    return None


def _show_plan(plan: SpreadPlan, *, as_json: bool) -> None:
    if as_json:
        say_json(plan)
        return
    for cliff in plan.cliffs:
        remark(f"{_cliff(cliff)}.")
    if plan.moves:
        show_list(plan.moves, _MOVES, as_json=False)
    _remark_left_over(plan.left_over)
    for each in plan.refused:
        warn(f"token {each.number} would keep its expiry: {each.detail}")
    if not plan.cliffs:
        remark("There is nothing to spread.")
    elif plan.moves:
        remark(f"Nothing was changed. To move these {len(plan.moves):,} tokens, repeat this command without --dry-run.")


def _remark_left_over(left_over: int) -> None:
    if left_over:
        warn(f"{left_over:,} used tokens too many still expire together")


def _cliff(cliff: Cliff) -> str:
    window = span(cliff.ends_at - cliff.starts_at)
    return f"{cliff.used:,} used tokens expire within {window} from {time_of(cliff.starts_at)} on"


def _bar(day: ForecastDay) -> Bar:
    owners = " ".join(f"{owner_of(each.owner)} {each.tokens:,}" for each in day.owners)
    return Bar(str(day.day), day.tokens, day.used, owners)


_MOVES: Final[Columns[Move]] = {
    "no.": lambda move: str(move.number),
    "name": lambda move: move.name or "(erased)",
    "owner": lambda move: owner_of(move.owner),
    "expires": lambda move: time_of(move.expires_at),
    "would expire": lambda move: time_of(move.new_expires_at),
    "last used": lambda move: time_of(move.last_used_at) or "never",
}
