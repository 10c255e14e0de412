"""Imports run one way, between the rooms and inside each room."""

from configparser import ConfigParser
from pathlib import Path

import pytest

from core.arrows import CORE as CORE_ROOM
from core.arrows import below, modules, turned

ROOT = Path(__file__).parents[2]
API = "services/api/counterfoil_api"
CORE = "shared/counterfoil/core"
POSTGRES = "shared/counterfoil/postgres"


def test_imports_run_one_way_and_only_postgres_contains_sql() -> None:
    assert turned(ROOT) == []


def test_every_room_is_read() -> None:
    assert {module.room for module in modules(ROOT).values()} == set(below())


def test_coverage_measures_every_branch_of_every_core_module() -> None:
    settings = ConfigParser()
    settings.read(Path(__file__).with_name("coverage.ini"))
    measured = set(settings["run"]["include"].split())
    folders = {m.package.replace(".", "/") for m in modules(ROOT).values() if m.room == CORE_ROOM}
    assert measured == {f"*/{folder}/*.py" for folder in folders}
    assert settings["report"]["fail_under"] == "100"


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        (f"{CORE}/token.py", "import asyncpg", "(counterfoil.core) imports asyncpg"),
        (f"{CORE}/decide.py", "from ..postgres import batch", "(counterfoil.core) imports counterfoil.postgres.batch"),
        (f"{CORE}/decide.py", "def f():\n  from counterfoil.door import door", "imports counterfoil.door.door"),
        (f"{CORE}/decide.py", "import secrets", "(counterfoil.core) imports secrets"),
        (f"{CORE}/codec.py", "import os.path", "(counterfoil.core) imports os.path"),
        (f"{CORE}/token.py", "at = datetime.now(UTC)", "asks the clock: now()"),
        ("shared/counterfoil/settings.py", "from redis.asyncio import Redis", "(counterfoil) imports redis.asyncio"),
        (f"{POSTGRES}/batch.py", "from ..door.door import Door", "imports counterfoil.door.door"),
        (f"{POSTGRES}/batch.py", "import aiohttp", "(counterfoil.postgres) imports aiohttp"),
        ("shared/counterfoil/door/door.py", "import counterfoil_api.main", "imports counterfoil_api.main"),
        ("shared/counterfoil/door/door.py", "from ..cli import app", "imports counterfoil.cli.app (counterfoil.cli)"),
        ("services/api/counterfoil_api/main.py", "from counterfoil_worker import sweep", "(counterfoil_worker)"),
        ("services/worker/counterfoil_worker/sweep.py", "from counterfoil_api.main import run", "(counterfoil_api)"),
        ("services/api/counterfoil_api/main.py", "import counterfoil.cli.app", "(counterfoil.cli)"),
        ("services/api/counterfoil_api/main.py", "import counterfoil_dev", "(counterfoil_dev)"),
        (f"{API}/http/errors.py", "from counterfoil_api import main", "imports counterfoil_api.main"),
        (f"{API}/auth/keys.py", "from ..limits import quotas", "imports counterfoil_api.limits.quotas"),
        (f"{API}/dialects/one.py", "from ..native import tokens", "imports counterfoil_api.native.tokens"),
        (f"{API}/native/tokens.py", "from ..dialects import logins", "imports counterfoil_api.dialects.logins"),
        (f"{API}/limits/quotas.py", "import counterfoil_api.limits.guard", "quotas → counterfoil_api.limits.guard"),
        ("shared/counterfoil/door/door.py", 'S = "select 1"', "speaks SQL: select 1"),
        ("shared/counterfoil/uses/audit.py", 'S = f"""\n  select token_id\n    from {table}"""', "speaks SQL: select"),
        ("services/api/counterfoil_api/main.py", "run('Insert into token values (1)')", "speaks SQL: Insert into"),
        ("shared/counterfoil/door/door.py", "S = 'update token set name = $1'", "speaks SQL: update token set"),
        ("shared/counterfoil/door/door.py", "S = 'with due as (select 1) delete'", "speaks SQL: with due as"),
    ],
)  # fmt: skip
def test_a_forbidden_import_is_found(tmp_path: Path, path: str, source: str, complaint: str) -> None:
    for name in ("postgres/batch", "door/door", "cli/app"):
        plant(tmp_path, f"shared/counterfoil/{name}.py", "")
    plant(tmp_path, f"{API}/native/tokens.py", "")
    plant(tmp_path, f"{API}/dialects/logins.py", "")
    plant(tmp_path, f"{API}/limits/guard.py", "from counterfoil_api.limits import quotas")
    plant(tmp_path, f"{API}/limits/quotas.py", "")
    plant(tmp_path, "shared/counterfoil_dev/__init__.py", "")
    plant(tmp_path, "services/api/counterfoil_api/main.py", "")
    plant(tmp_path, "services/worker/counterfoil_worker/sweep.py", "")
    assert turned(tmp_path) == []
    plant(tmp_path, path, source)
    assert complaint in turned(tmp_path)[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (f"{POSTGRES}/batch.py", "import asyncpg\nfrom ..core import token\nS = 'select 1 from token'"),
        (
            "shared/counterfoil/door/door.py",
            '"""Select what is due from the rows."""\nX = "commit"\nY = "Update the token"',
        ),
        ("shared/counterfoil/door/door.py", "from ..postgres.batch import run\nX = 'select a reader'"),
        ("shared/counterfoil/cli/processes.py", "import counterfoil_api.main, counterfoil_worker.sweep"),
        (f"{CORE}/secret.py", "import secrets, hmac, msgspec"),
        ("shared/counterfoil_dev/postgres.py", "S = 'create role owner login'"),
    ],
)
def test_an_allowed_import_is_not_reported(tmp_path: Path, path: str, source: str) -> None:
    plant(tmp_path, f"{CORE}/token.py", "")
    plant(tmp_path, path, source)
    assert turned(tmp_path) == []


def plant(root: Path, path: str, source: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(source)
