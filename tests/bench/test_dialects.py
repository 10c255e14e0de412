"""The measurement of dialects runs, and every call succeeds."""

import subprocess
import sys
from pathlib import Path

import msgspec

from bench.dialects import Cost, table_of

TOP = Path(__file__).parents[2]


def test_a_dialect_is_measured_beside_the_native_call() -> None:
    sizes = ["--only", "losant list", "--tokens", "2", "--rounds", "1", "--seconds", "0.2", "--connections", "2"]
    command = [sys.executable, "-m", "tests.bench.dialects", "--json", *sizes]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (cost,) = msgspec.json.decode(done.stdout, type=list[Cost])
    assert cost.name == "losant list"
    assert min(cost.per_second, cost.native_per_second, cost.cpu_us, cost.native_cpu_us) > 0
    assert table_of([cost]).row_count == 1
