"""The file of `login --save`: a credentials file that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from counterfoil import private_files
from counterfoil.cli.calls import Place
from counterfoil.cli.errors import USAGE, ended
from counterfoil.cli.output import OutputFailed


def refuse_to_write(file: Path) -> None:
    """End the command if the file exists and is no login, or cannot be written."""
    if (file.exists() or file.is_symlink()) and not (file.is_file() and _is_login(file)):
        raise ended(USAGE, f"{file} exists and is not a login file; name another file.")
    if not os.access(file.absolute().parent, os.W_OK | os.X_OK):
        raise ended(USAGE, f"there is no directory {file.absolute().parent} that you may write to; name another file.")


def write(file: Path, url: str, secret: str) -> None:
    """Write a login atomically; raises OutputFailed."""
    try:
        private_files.write(file, msgspec.json.encode(Place(url, secret)) + b"\n")
    except OSError as error:
        raise OutputFailed(f"{file} cannot be written: {error.strerror}") from None


def _is_login(file: Path) -> bool:
    try:
        held = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return False
    return held.keys() == {"url", "admin_token"}
