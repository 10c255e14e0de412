"""The measurement of replays runs; speed is measured on a quiet machine."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

TOP = Path(__file__).parents[2]


@pytest.mark.soak
def test_a_replay_is_measured() -> None:
    command = [sys.executable, "-m", "tests.bench.replay", "--events", "2000", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = msgspec.json.decode(done.stdout, type=dict[str, float])
    assert printed["events"] > 1_000
    assert min(printed.values()) > 0
