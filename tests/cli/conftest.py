"""What a command finds in its environment."""

import base64

import pytest

from counterfoil.settings import Settings
from counterfoil_dev.postgres import Database

PEPPER = b"p" * 32


@pytest.fixture
def environment(database: Database) -> dict[str, str]:
    return {
        "DATABASE_URL": database.app_url,
        "MIGRATE_DATABASE_URL": database.owner_url,
        "REDIS_URL": "redis://127.0.0.1/0",
        "PEPPERS": f"1:{base64.b64encode(PEPPER).decode()}",
        "KEY_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return Settings.from_environment(environment)
