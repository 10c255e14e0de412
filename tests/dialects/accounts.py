"""Accounts with all that vendors' clients ask for."""

from pathlib import Path

import msgspec

from counterfoil.charter import WithExamples
from counterfoil.duration import FOREVER
from counterfoil.founding import found
from counterfoil.settings import Settings

Account = WithExamples


async def opened(settings: Settings, name: str, directory: Path) -> Account:
    """Found an account with its examples."""
    file = directory / "credentials.json"
    email = f"admin@{name}.example.org"
    assert await found(settings, name=name, email=email, file=file, lifetime=FOREVER, examples=True)
    return msgspec.json.decode(file.read_bytes(), type=Account)
