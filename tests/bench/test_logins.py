"""The measurement of logins beside a flood runs, and no login from a known network is refused."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.logins import Flood

TOP = Path(__file__).parents[2]


@pytest.mark.soak
def test_a_user_in_a_known_network_logs_in_during_a_flood_of_wrong_passwords() -> None:
    sizes = ["--networks", "0", "2", "--connections", "4", "--logins", "2"]
    command = [sys.executable, "-m", "tests.bench.logins", "--json", *sizes]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    alone, flooded = msgspec.json.decode(done.stdout, type=list[Flood])
    assert (alone.networks, alone.logins, alone.strangers) == (0, 2, {})
    assert (flooded.networks, flooded.refused_at_home, flooded.refused_elsewhere) == (2, 0, 0)
