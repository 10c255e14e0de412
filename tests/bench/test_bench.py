"""The bench runs and measures every case; speed is measured on a quiet machine."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bench.cases import CASES
from bench.load import Tally
from bench.results import Result, table_of
from bench.stage import Spent

TOP = Path(__file__).parents[2]


@pytest.mark.soak
def test_the_bench_measures_every_case() -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = msgspec.json.decode(done.stdout, type=list[dict[str, object]])
    assert [each["name"] for each in printed] == [case.name for case in CASES]
    for each in printed:
        assert msgspec.convert(each["ratio"], float) > 0
        for side in (each["side"], each["other"]):
            figures = msgspec.convert(side, dict[str, float | None])
            assert (figures["per_second"] or 0) > 0
            assert (figures["p99_ms"] or 0) >= (figures["p50_ms"] or 0) > 0


def test_the_table_shows_rates_side_by_side_and_missed_targets() -> None:
    result = Result(CASES[0])
    fast, slow = Tally(1.0, 120, {10: 90, 19: 10}, {200: 100}), Tally(1.0, 60, {40: 50}, {200: 50})
    for half, tally in ((result.side, slow), (result.other, fast)):
        half.tallies.append(tally)
        half.spent.append(Spent(commands=50, transactions=10, cpu_seconds=0.012))
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table_of([result]))
    for cell in ("0.50", ">= 0.80", "50 / 100", "4.1 / 1.1", "4.1 / 2.0", "200 / 100", "5.0", "MISSED"):
        assert cell in captured.get()
