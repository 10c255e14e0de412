"""The secrets of one state: created once, in a file that only its owner can read."""

import base64
import os
import secrets
from pathlib import Path


def secret_environment(file: Path) -> dict[str, str]:
    """Return PEPPERS and KEY_ENCRYPTION_KEY from this file; the first call creates it.

    Losing the file loses every token that was ever issued: what Postgres keeps is useless without it.
    """
    if not file.exists():
        made = {"PEPPERS": f"1:{_random_key()}", "KEY_ENCRYPTION_KEY": _random_key()}
        write_private(file, "".join(f"{name}={value}\n" for name, value in made.items()))
    lines = file.read_text(encoding="ascii").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write_private(file: Path, text: str) -> None:
    """Write a file of mode 0600, completely or not at all."""
    half = file.with_name(f"{file.name}.half")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    half.rename(file)


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
