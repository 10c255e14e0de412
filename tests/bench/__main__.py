"""Measures how fast the ledger is, as ratios of two sides that take turns.

    python3 shared/boot.py run python -m tests.bench                    all of it, about five minutes
    python3 shared/boot.py run python -m tests.bench --only exchange    one case (may be repeated)

One API process answers 64 connections that each ask again as soon as they are answered. Exchange, introspection and
create are held against the same process with a dictionary in the place of Postgres; a million tokens against ten
thousand; and a table with one row locked by a stranger against one without. The two sides of a case take turns, so
that whatever else the machine does falls on both. Postgres is real, on this machine's disk, with fsync on, and has just
finished a checkpoint: each page that is touched first goes to its log whole, which is the larger table's worst moment.

Three processes want two cores: on a machine that is busy otherwise, Postgres has to wait for its turn, the twin does
not, and the ratios say more about the scheduler than about the ledger. The CPU column is what that changes least.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress

from counterfoil_dev.postgres import embedded_postgres
from counterfoil_dev.state import State

from .cases import CASES, Case, Side
from .load import Round
from .results import Half, Result, table_of
from .sample import secret
from .stage import Stage, held

SMALLER = 10_000


def main() -> None:
    """Run the chosen cases, and print their results."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that `finally` blocks run
    arguments = _arguments()
    cases = [case for case in CASES if not arguments.only or case.name in arguments.only]
    progress = Progress(console=Console(stderr=True), transient=True)
    with tempfile.TemporaryDirectory(prefix="cf-bench-", dir="/tmp") as directory, ExitStack() as ending, progress:
        postgres = ending.enter_context(embedded_postgres(State.at(Path(directory))))
        stage = Stage(postgres, Path(directory), ending)
        doing = progress.add_task("starting", total=2 * arguments.rounds * len(cases))
        bench = Bench(stage, arguments, lambda what: progress.update(doing, description=what, advance=1))
        results = [bench.result_of(case) for case in cases]
    if arguments.json:
        sys.stdout.write(msgspec.json.encode([result.plain() for result in results]).decode() + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(table_of(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a round lasts")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds each side of a case has")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=1_000_000, help="how many tokens the larger table has")
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES], metavar="CASE")
    parser.add_argument("--json", action="store_true", help="print plain values instead of a table")
    parser.add_argument("--quick", action="store_true", help="only see that it runs: its figures say nothing")
    arguments = parser.parse_args()
    arguments.smaller = SMALLER
    if arguments.quick:
        arguments.seconds, arguments.rounds, arguments.connections = 0.3, 1, 8
        arguments.tokens, arguments.smaller = 4_000, 2_000
    return arguments


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs cases on one stage."""

    stage: Stage
    arguments: argparse.Namespace
    tell: Callable[[str], None]

    def result_of(self, case: Case) -> Result:
        """Run both sides of a case in turns."""
        result = Result(case)
        for turn in range(self.arguments.rounds):
            for side, half in ((case.side, result.side), (case.other, result.other)):
                self.tell(f"{case.name}, against {case.says}")
                self._play(case, side, half, seed=turn)
        return result

    def _play(self, case: Case, side: Side, half: Half, *, seed: int) -> None:
        server = self.stage.server(side.storage, self.arguments.tokens if side.grown else self.arguments.smaller)
        this = Round(
            kind=case.kind, port=server.port, tokens=server.tokens, asker=secret(0).plain, seed=seed,
            seconds=self.arguments.seconds, connections=self.arguments.connections,
        )  # fmt: skip
        before = server.spent()
        with held(server, 1) if side.held else nullcontext():
            half.tallies.append(self.stage.play(this))
        half.spent.append(server.spent() - before)
        if half.refused and not side.held:
            raise SystemExit(f"{case.name}: answers {half.tallies[-1].statuses}")


if __name__ == "__main__":
    main()
