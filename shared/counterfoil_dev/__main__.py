"""`python -m counterfoil_dev`: run everything in the foreground until Ctrl-C."""

import argparse
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from counterfoil.postgres.migrate import DatabaseAhead, EditedMigration
from counterfoil.settings import VARIABLES
from counterfoil_dev.binaries import NoBinaries
from counterfoil_dev.child import ChildFailed
from counterfoil_dev.stack import PortTaken, Stack, running_stack, service_environment_of
from counterfoil_dev.state import State, StateInUse

_COMPLAINTS = (ChildFailed, DatabaseAhead, EditedMigration, NoBinaries, PortTaken, StateInUse)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run until asked to stop; 0 if we were asked, 1 with a reason if it could not run."""
    asked = _arguments()
    for number in _SIGNALS:
        signal.signal(number, _stop)
    try:
        with running_stack(State.at(asked.state), port=asked.port, tell=_tell) as stack:
            _tell(_where_to_go(stack))
            stack.keep_alive()
    except _COMPLAINTS as complaint:
        sys.stderr.write(f"{complaint}\n")
        return 1
    except SystemExit:
        _tell("stopped; everything is kept in " + _shown(asked.state))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="boot.py up", description="Run Counterfoil on this machine.")
    parser.add_argument("--state", type=Path, default=Path(".counterfoil"), help="where everything is kept")
    parser.add_argument("--port", type=int, default=8080, help="the port of the API; 0 takes any free one")
    return parser.parse_args()


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Leave every `with` on the way out; a second Ctrl-C does not interrupt the tidying up."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def _where_to_go(stack: Stack) -> str:
    credentials = _shown(stack.credentials)
    return f"""
Counterfoil is running.

  address      {stack.url}
  credentials  {credentials} (administrator, member, and a first token of each that {_lives(stack)})
  settings     {_shown(service_environment_of(stack.state))} (what the processes were told)
{_given(stack)}  logs         {_shown(stack.state.logs)}/

Ask who you are:

  TOKEN=$(python3 -c 'import json; print(json.load(open("{credentials}"))["admin_token"])')
  curl -sS -H "Authorization: Bearer $TOKEN" {stack.url}/v1/tokens/self

Ctrl-C stops everything; the next `up` carries on.
"""


def _lives(stack: Stack) -> str:
    lifetime = json.loads(stack.credentials.read_text(encoding="utf-8")).get("admin_token_lifetime", "forever")
    return "never expires" if lifetime == "forever" else f"lives for {lifetime}"


def _given(stack: Stack) -> str:
    """Every setting that our own environment gave, and what became of it; no value that may be secret."""
    decided = {line.partition("=")[0] for line in service_environment_of(stack.state).read_text().splitlines()}
    given = [variable for variable in VARIABLES if os.environ.get(variable.name, "").strip()]
    passed_on = [
        f"{each.name}={'…' if each.secret else shlex.quote(os.environ[each.name].strip())}"
        for each in given
        if each.name not in decided
    ]
    set_aside = [each.name for each in given if each.name in decided]
    lines = (
        f"  given        {' '.join(passed_on)}\n" if passed_on else "",
        f"  not used     {' '.join(set_aside)} (given, but `up` runs servers of its own)\n" if set_aside else "",
    )
    return "".join(lines)


def _shown(path: Path) -> str:
    """A path as one would type it here."""
    absolute = path.absolute()
    return os.path.relpath(absolute) if absolute.is_relative_to(Path.cwd()) else str(absolute)


def _tell(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n" if not line.startswith("\n") else f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
