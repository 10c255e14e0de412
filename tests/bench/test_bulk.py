"""The rehearsal of a bulk revocation runs to its end; how fast it was is for a quiet machine to say."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

TOP = Path(__file__).parents[2]


@pytest.mark.soak
def test_very_many_tokens_are_looked_at_and_revoked_faster_than_one_by_one() -> None:
    command = [sys.executable, "-m", "tests.bench.bulk", "--tokens", "4000", "--json"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = msgspec.json.decode(done.stdout, type=dict[str, float])
    assert said["tokens"] >= 3_000
    assert said["ratio"] > 1
