"""Accounts with everything that vendors' clients need."""

from pathlib import Path

import msgspec

from counterfoil.core.duration import FOREVER
from counterfoil.settings import Settings
from counterfoil.uses.credentials_file import WithExamples
from counterfoil.uses.found_account import found

Account = WithExamples


async def opened(settings: Settings, name: str, directory: Path, *, lifetime: str | None = FOREVER) -> Account:
    """Found an account with its examples; without a lifetime its first tokens have the default one."""
    file = directory / "credentials.json"
    email = f"admin@{name}.example.org"
    assert await found(settings, name=name, email=email, file=file, lifetime=lifetime, examples=True)
    return msgspec.json.decode(file.read_bytes(), type=Account)
