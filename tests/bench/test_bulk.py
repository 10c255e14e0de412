"""The measurement of a bulk revocation runs; speed is measured on a quiet machine."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

TOP = Path(__file__).parents[2]


@pytest.mark.soak
def test_a_bulk_revocation_is_faster_than_single_calls() -> None:
    command = [sys.executable, "-m", "tests.bench.bulk", "--tokens", "4000", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = msgspec.json.decode(done.stdout, type=dict[str, float])
    assert printed["tokens"] >= 3_000
    assert printed["ratio"] > 1
