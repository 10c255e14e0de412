"""The secrets of one state: created once, in a file that only its owner can read."""

import base64
import secrets
from pathlib import Path

from counterfoil import private_files


def secret_environment(file: Path) -> dict[str, str]:
    """Return PEPPERS and KEY_ENCRYPTION_KEY from this file; the first call creates it.

    Without this file no token in the database can be verified.
    """
    if not file.exists():
        made = {"PEPPERS": f"1:{_random_key()}", "KEY_ENCRYPTION_KEY": _random_key()}
        private_files.write(file, "".join(f"{name}={value}\n" for name, value in made.items()).encode())
    lines = file.read_text(encoding="ascii").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
