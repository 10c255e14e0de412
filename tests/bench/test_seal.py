"""The measurement of the sealer runs; speed is measured on a quiet machine."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

TOP = Path(__file__).parents[2]


@pytest.mark.soak
def test_appends_a_backlog_and_an_idle_sealer_are_measured() -> None:
    command = [sys.executable, "-m", "tests.bench.seal", "--quick", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = msgspec.json.decode(done.stdout, type=dict[str, float | list[float]])
    ratios = printed.pop("ratios")
    assert isinstance(ratios, list)
    for ratio in ratios:
        assert ratio > 0
    for name, figure in printed.items():
        assert isinstance(figure, float | int), name
        assert figure > 0 or name.endswith("core_share"), name
