"""`python -m counterfoil_dev`: run the whole service in the foreground until Ctrl-C."""

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
from counterfoil_dev.stack import PortTaken, Stack, running_stack
from counterfoil_dev.state import State, StateInUse

_FAILURES = (ChildFailed, DatabaseAhead, EditedMigration, NoBinaries, PortTaken, StateInUse)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run until a signal. Return 0 then, or 1 after printing why it could not run."""
    arguments = _arguments()
    for number in _SIGNALS:
        signal.signal(number, _stop)
    try:
        with running_stack(State.at(arguments.state), port=arguments.port, report=_report) as stack:
            _report(_where_to_go(stack))
            stack.keep_alive()
    except _FAILURES as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except SystemExit:
        _report("stopped; all data is kept in " + _shown(arguments.state))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="boot.py up", description="Run Counterfoil on this machine.")
    parser.add_argument("--state", type=Path, default=Path(".counterfoil"), help="the directory for all data")
    parser.add_argument("--port", type=int, default=8080, help="the port of the API; 0 takes any free one")
    return parser.parse_args()


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Leave every `with` block; a second Ctrl-C does not interrupt the cleanup."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def _where_to_go(stack: Stack) -> str:
    credentials = _shown(stack.state.credentials)
    return f"""
Counterfoil is running.

  address      {stack.url}
  credentials  {credentials} (administrator, member, and a first token of each that {_lifetime(stack)})
  settings     {_shown(stack.state.service_environment)} (the environment of the processes)
{_given_settings(stack)}  logs         {_shown(stack.state.logs)}/

Ask who you are:

  TOKEN=$(python3 -c 'import json; print(json.load(open("{credentials}"))["admin_token"])')
  curl -sS -H "Authorization: Bearer $TOKEN" {stack.url}/v1/tokens/self

Ctrl-C stops everything; the next `up` continues with the same data.
"""


def _lifetime(stack: Stack) -> str:
    lifetime = json.loads(stack.state.credentials.read_text(encoding="utf-8")).get("admin_token_lifetime", "forever")
    return "never expires" if lifetime == "forever" else f"lives for {lifetime}"


def _given_settings(stack: Stack) -> str:
    """List the settings from the environment, and whether they are used; hide values that may be secret."""
    decided = {line.partition("=")[0] for line in stack.state.service_environment.read_text().splitlines()}
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
    """Return the path as a user would type it in this directory."""
    absolute = path.absolute()
    return os.path.relpath(absolute) if absolute.is_relative_to(Path.cwd()) else str(absolute)


def _report(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n" if not line.startswith("\n") else f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
