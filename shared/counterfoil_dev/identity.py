"""The account that the database servers run as: the current one, or for root an unprivileged one."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


class RunAs(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that choose the account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class ServerUser:
    """An account that the servers run as; Postgres refuses to run as root."""

    uid: int
    gid: int

    @property
    def run_as(self) -> RunAs:
        """The arguments for `subprocess`; none if the account is our own."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_run(self, program: Path) -> bool:
        """Return whether this account can run the program; a 0700 home above it prevents that."""
        try:
            run = subprocess.run(  # noqa: S603 - our own binaries
                [program, "--version"], cwd="/", capture_output=True, check=False, **self.run_as
            )
        except PermissionError:
            return False
        return run.returncode == 0

    def can_enter(self, directory: Path) -> bool:
        """Return whether this account can work in the directory."""
        # The shell changes directory: Popen would enter `cwd` before it changes the account.
        run = subprocess.run(  # noqa: S603 - a constant script
            ["/bin/sh", "-c", 'cd "$1"', "sh", directory], cwd="/", capture_output=True, check=False, **self.run_as
        )
        return run.returncode == 0

    def own(self, directory: Path) -> Path:
        """Create the directory if it is missing, for this account alone."""
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        if self.run_as:
            os.chown(directory, self.uid, self.gid)
        return directory


def server_user() -> ServerUser:
    """Return the account for the servers."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(entry.pw_uid, entry.pw_gid)
    raise SystemExit("As root the servers need an account to run as: neither `postgres` nor `nobody` exists.")
