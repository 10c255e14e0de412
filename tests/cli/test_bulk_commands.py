"""`counterfoil token revoke-many` and `import`: planned, then executed; refused line by line; repeated to finish."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from cli.shell import Shell
from client.running import Service
from counterfoil.door import Door, queue
from counterfoil.postgres.connection import open_pool
from counterfoil_worker.bulk_revocations import BulkRevocations


@pytest_asyncio.fixture
async def worker(service: Service) -> AsyncIterator[None]:
    """A worker that polls for work."""

    async def work() -> None:
        async with await open_pool(service.database.app_url, size=4) as pool, Door(service.database.app_url) as door:
            revocations = BulkRevocations(pool, door)
            while True:
                await revocations.work()
                await asyncio.sleep(0.05)

    task = asyncio.create_task(work())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def made(shell: Shell, name: str, *words: str) -> dict[str, Any]:
    token: dict[str, Any] = json.loads((await shell("token", "create", name, *words, "--json")).out)["token"]
    return token


@pytest.mark.usefixtures("worker")
async def test_exactly_the_planned_tokens_are_revoked(shell: Shell, service: Service) -> None:
    for number in range(3):
        await made(shell, f"ci-{number}", "--owner", "service:builds")
    other = await made(shell, "nightly", "--owner", "service:builds")
    which = ("token", "revoke-many", "--name", "ci-*", "--owner", "service:builds")
    looked = await shell(*which)
    assert looked.code == 0
    assert "tokens          3\n" in looked.out
    assert "service:builds" in looked.out
    assert "Nothing was changed." in looked.err
    plan = json.loads((await shell(*which, "--json")).out)
    assert (plan["tokens"], plan["used"]["never"]) == (3, 3)
    assert f"--plan {plan['plan']}" in looked.err
    refused = await shell(*which, "--execute", "--plan", "0" * 64, "--reason", "leaked")
    assert (refused.code, "plan-changed" in refused.err) == (1, True)
    done = await shell(*which, "--execute", "--plan", plan["plan"], "--reason", "leaked", "--json")
    assert done.code == 0, done.err
    revocation = json.loads(done.out)
    assert (revocation["status"], revocation["revoked"], revocation["failed"]) == ("finished", 3, 0)
    left = [
        json.loads(line) for line in (await shell("token", "list", "--status", "active", "--json")).out.splitlines()
    ]
    assert other["id"] in {token["id"] for token in left}
    assert not [token for token in left if token["name"].startswith("ci-")]
    listed = await shell("token", "revocations", "list")
    assert revocation["id"] in listed.out.replace("\n", "")
    watched = await shell("token", "revocations", "watch", revocation["id"])
    assert "revoked         3\n" in watched.out
    audited = await shell("audit", "replay", DATABASE_URL=service.database.app_url)
    assert (audited.code, "every row is what its events say" in audited.out) == (0, True)


async def test_a_job_without_a_worker_can_be_cancelled(shell: Shell) -> None:
    await made(shell, "ci-1")
    plan = json.loads((await shell("token", "revoke-many", "--name", "ci-*", "--json")).out)["plan"]
    words = ("--name", "ci-*", "--execute", "--plan", plan, "--reason", "leaked", "--no-wait", "--json")
    revocation = json.loads((await shell("token", "revoke-many", *words)).out)
    assert revocation["status"] == "accepted"
    cancelled = await shell("token", "revocations", "cancel", revocation["id"])
    assert "status          cancelled\n" in cancelled.out


async def test_a_bulk_revocation_needs_a_plan_a_reason_and_a_filter(shell: Shell) -> None:
    assert (await shell("token", "revoke-many", "--name", "x", "--execute", "--reason", "x")).code == 2
    assert (await shell("token", "revoke-many", "--name", "x", "--unused-for", "soon")).code == 2
    nothing = await shell("token", "revoke-many")
    assert (nothing.code, "everything" in nothing.err) == (1, True)
    everything = await shell("token", "revoke-many", "--everything")
    assert "the token that you are using is among them" in everything.err


def token(**fields: Any) -> dict[str, Any]:
    return {"name": "moved", "owner": {"type": "service", "id": "elsewhere"}, "scopes": ["a.b"], **fields}


async def test_a_file_is_imported_line_by_line_and_can_be_repeated(shell: Shell, tmp_path: Path) -> None:
    good = [secrets.token_hex(20) for _ in range(3)]
    digest = {"algorithm": "sha256", "value": hashlib.sha256(good[2].encode()).hexdigest()}
    lines = [
        json.dumps(token(secret=good[0])), "no json " + good[1], json.dumps(token(secret=good[1], lifetime="90d")), "",
        json.dumps(token(secret="a" * 20)), json.dumps({**token(secret=good[1]), "nmae": "x"}),
        json.dumps(token(digest=digest)),
    ]  # fmt: skip
    file = tmp_path / "tokens.ndjson"
    file.write_text("\n".join(lines) + "\n")
    rehearsed = await shell("token", "import", str(file), "--dry-run")
    assert rehearsed.out == "3 would be imported, 0 already, 3 refused\n"
    first = await shell("token", "import", str(file))
    assert (first.code, first.out) == (1, "3 imported, 0 already, 3 refused\n")
    assert [line.partition(":")[0] for line in first.err.splitlines()] == ["line 2", "line 5", "line 6"]
    assert not any(secret in first.out + first.err for secret in good)
    again = await shell("token", "import", str(file), "--json")
    reported = [json.loads(line) for line in again.out.splitlines()]
    assert sorted((each["line"], each["status"]) for each in reported) == [
        (1, "already"), (2, "refused"), (3, "already"), (5, "refused"), (6, "refused"), (7, "already"),
    ]  # fmt: skip
    for secret in good:
        assert (await shell("token", "show", "self", COUNTERFOIL_TOKEN=secret)).code == 0


@pytest.mark.parametrize("dry_run", [("--dry-run",), ()])
async def test_an_expired_token_is_refused_with_its_line(
    shell: Shell, tmp_path: Path, dry_run: tuple[str, ...]
) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text(
        "name,owner,lifetime,created_at,secret\n"
        f"fresh,service:backup,90d,{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d},{secrets.token_hex(20)}\n"
        f"over,service:backup,90d,2024-02-01,{secrets.token_hex(20)}\n"
    )
    result = await shell("token", "import", str(file), *dry_run)
    assert (result.code, result.out.endswith(" 0 already, 1 refused\n")) == (1, True)
    assert result.err.startswith("line 3: This token expired on 2024-05-01, 90d after it was made")
    assert result.err.endswith("(lifetime)\n")


async def test_a_table_is_imported_by_its_column_names(shell: Shell, tmp_path: Path) -> None:
    secret, digested = secrets.token_urlsafe(30), secrets.token_urlsafe(30)
    file = tmp_path / "tokens.csv"
    file.write_text(
        "name,owner,scopes,lifetime,metadata.team,secret,sha256\n"
        f'"nightly, old",service:backup,a.b c.*,90d,ops,{secret},\n'
        f"weekly,service:backup,,,,,{hashlib.sha256(digested.encode()).hexdigest()}\n"
        "short,service:backup\n"
    )
    done = await shell("token", "import", str(file))
    assert (done.out, done.err.partition(":")[0]) == ("2 imported, 0 already, 1 refused\n", "line 4")
    shown = json.loads((await shell("token", "show", "self", "--json", COUNTERFOIL_TOKEN=secret)).out)
    assert (shown["name"], shown["scopes"], shown["metadata"]) == ("nightly, old", ["a.b", "c.*"], {"team": "ops"})
    assert (await shell("token", "show", "self", COUNTERFOIL_TOKEN=digested)).code == 0


async def test_a_file_larger_than_one_call_is_imported(shell: Shell, tmp_path: Path, service: Service) -> None:
    file = tmp_path / "tokens.jsonl"
    file.write_text("".join(json.dumps(token(secret=secrets.token_hex(20))) + "\n" for _ in range(1_203)))
    assert (await shell("token", "import", str(file))).out == "1,203 imported, 0 already, 0 refused\n"
    assert await service.tokens() == 1_203
    audited = await shell("audit", "replay", DATABASE_URL=service.database.app_url)
    assert audited.code == 0


async def test_an_import_survives_an_outage_of_the_database(
    shell: Shell, tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 1.0)
    file = tmp_path / "tokens.ndjson"
    file.write_text("".join(json.dumps(token(secret=secrets.token_hex(20))) + "\n" for _ in range(3)))
    owner = await asyncpg.connect(service.database.owner_url)
    await owner.execute("begin; lock table event in access exclusive mode")
    with capture_logs() as lines:
        running = asyncio.create_task(shell("token", "import", str(file)))
        async with asyncio.timeout(30):
            while not any(line.get("status") == 503 for line in lines):  # noqa: ASYNC110 - it is told by nobody else
                await asyncio.sleep(0.1)
        await owner.close()
        result = await running
    assert (result.code, result.out) == (0, "3 imported, 0 already, 0 refused\n")
    assert await service.tokens() == 3


async def test_a_missing_file_is_a_usage_error(shell: Shell, tmp_path: Path) -> None:
    assert (await shell("token", "import", str(tmp_path / "none.ndjson"))).code == 2
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\x00")
    assert (await shell("token", "import", str(tmp_path / "odd.csv"))).code == 2


async def test_lists_and_bulk_revocations_have_the_same_filters(shell: Shell) -> None:
    for name, words in (("red", ("--metadata", "team=red")), ("blue", ("--metadata", "team=blue"))):
        await made(shell, f"narrow {name}", "--lifetime", "6d", *words)
    await made(shell, "narrow late", "--lifetime", "30d", "--metadata", "team=red")
    for which, expected in (
        (("--metadata", "team=red"), {"narrow red", "narrow late"}),
        (("--metadata", "team=red", "--expires-before", "7d"), {"narrow red"}),
        (("--unused-for", "0s", "--expires-after", "7d"), {"narrow late"}),
        (("--unused-for", "1d"), set()),
    ):
        words = ("--name", "narrow *", *which, "--json")
        listed = await shell("token", "list", *words)
        assert {json.loads(line)["name"] for line in listed.out.splitlines()} == expected
        assert json.loads((await shell("token", "revoke-many", *words)).out)["tokens"] == len(expected)
    for wrong in (("--unused-for", "soon"), ("--expires-before", "soon")):
        for command in ("list", "revoke-many"):
            refused = await shell("token", command, *wrong)
            assert refused.code == 2
            assert "'soon' is not a" in refused.err
