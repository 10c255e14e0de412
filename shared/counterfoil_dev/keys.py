"""The secrets of one state: made once, kept in a file that only its owner reads."""

import base64
import os
import secrets
from pathlib import Path


def secret_environment(file: Path) -> dict[str, str]:
    """PEPPERS and KEY_ENCRYPTION_KEY as this file has them, made at the first call.

    Losing the file loses every token that was ever issued: what Postgres keeps is useless without it.
    """
    if not file.exists():
        made = {"PEPPERS": f"1:{_random_key()}", "KEY_ENCRYPTION_KEY": _random_key()}
        write_private(file, "".join(f"{name}={value}\n" for name, value in made.items()))
    lines = file.read_text(encoding="ascii").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write_private(file: Path, text: str) -> None:
    """Write a file of mode 0600 whole or not at all."""
    half = file.with_name(f"{file.name}.half")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    half.rename(file)


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
