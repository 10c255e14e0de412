"""The whole service: its OpenAPI document, its health, and its behaviour while the database is away."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
from aiohttp import ClientError, ClientSession, web
from msgspec.structs import replace
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client import REGISTRY

from api.service import Answer, Caller, founded, served, settings_for
from counterfoil.core.refusals import Misconfigured
from counterfoil.postgres.migrate import migrate
from counterfoil.postgres.peppers import announced
from counterfoil.settings import Settings
from counterfoil_api import metrics
from counterfoil_api.application import make_app, routes
from counterfoil_api.services import open_services
from counterfoil_dev.postgres import APPLICATION, Database, Postgres, embedded_postgres
from counterfoil_dev.state import temporary_state
from postgres.sealing import seal_all


async def test_the_openapi_document_is_valid_and_complete(admin: Caller) -> None:
    document = (await admin.get("/openapi.json")).json
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) > 70
    assert {route.call.__name__ for route in routes()} <= set(names)
    assert all(operation["summary"] for operation in operations)
    assert document["servers"] == [{"url": "https://tokens.example.org"}]


async def test_health_needs_no_credentials(session: ClientSession) -> None:
    for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/jwks.json"):
        async with session.get(path) as answer:
            assert answer.status == 200


async def test_only_the_keys_are_cacheable(admin: Caller) -> None:
    keys = await admin.get("/.well-known/jwks.json")
    assert keys.headers["Cache-Control"] == "public, max-age=300"
    assert [set(key) for key in keys.json["keys"]] == [{"kid", "x", "y", "kty", "crv", "alg", "use"}]
    assert (await admin.get("/v1/tokens")).headers["Cache-Control"] == "no-store"


async def test_metrics_count_requests_refusals_batches_and_expiries(admin: Caller) -> None:
    await admin.issue(lifetime="3d")
    await admin.get("/v1/tokens/0")
    numbers = (await admin.get("/metrics")).body.decode()
    for line in (
        r'counterfoil_request_seconds_count\{method="POST",route="/v1/tokens",status="201"\} [1-9]',
        r'counterfoil_refusals_total\{problem="bad-reference"\} [1-9]',
        r"counterfoil_batch_jobs_count [1-9]",
        r"counterfoil_batch_wait_seconds_count [1-9]",
        r"counterfoil_batch_seconds_sum \d+\.\d",
        r"counterfoil_queued_commands 0",
        r"counterfoil_pool_connections [1-9]",
        r"counterfoil_sweep_lag_seconds \d",
        r"counterfoil_log_size \d",
        r"counterfoil_seal_passes_total \d",
        r"counterfoil_seal_backlog [1-9]",
        r"counterfoil_seal_lag_seconds \d",
        r"counterfoil_seal_silence_seconds \d",
        r"counterfoil_seal_watermark_age_seconds \d",
        r'counterfoil_tokens_expiring\{within="7d"\} \d',
        r'counterfoil_alerts_open\{notice="1d",used="true"\} \d',
        r"counterfoil_clock_led 0",
    ):
        assert re.search(f"^{line}", numbers, re.MULTILINE), line


async def test_metrics_show_the_lag_of_each_follower_of_the_log(admin: Caller, api_settings: Settings) -> None:
    await admin.issue()
    await seal_all(api_settings.database_url)
    connection = await asyncpg.connect(api_settings.database_url)
    try:
        head = await connection.fetchval("select size from head")
        await connection.execute(
            "insert into follower (name, position) values ('behind', $1), ('done', $2)", head - 1, head
        )
        numbers = (await admin.get("/metrics")).body.decode()
    finally:
        await connection.execute("delete from follower")
        await connection.close()
    for line in (
        r'counterfoil_follower_lag_events\{follower="behind"\} 1.0',
        r'counterfoil_follower_lag_events\{follower="done"\} 0.0',
        r'counterfoil_follower_waiting_seconds\{follower="behind"\} \d',
        r'counterfoil_follower_waiting_seconds\{follower="done"\} 0.0',
    ):
        assert re.search(f"^{line}", numbers, re.MULTILINE), line


async def test_a_process_keeps_its_own_gauges_when_another_collects_the_sums(admin: Caller) -> None:
    await admin.get("/v1/tokens")
    metrics.POOL_OPEN.set(-1)
    await asyncio.sleep(1.5)
    size = REGISTRY.get_sample_value("counterfoil_pool_connections")
    assert size is not None
    assert size >= 0


async def test_a_changed_encryption_key_is_reported(api_settings: Settings, admin: Caller) -> None:
    await admin.get("/readyz")  # creates keys
    other = replace(api_settings, key_encryption_key=b"K" * 32)
    with pytest.raises(Misconfigured, match="KEY_ENCRYPTION_KEY"):
        await web.AppRunner(make_app(other)).setup()


async def test_services_that_fail_while_opening_leave_no_connection_behind(database: Database) -> None:
    owner = await asyncpg.connect(database.owner_url)

    async def connected(*, wanted: bool) -> None:
        async with asyncio.timeout(10):
            while bool(await announced(owner)) is not wanted:  # noqa: ASYNC110 - as Postgres shows it
                await asyncio.sleep(0.05)

    async def break_it() -> None:
        async with open_services(settings_for(database.app_url)):
            await connected(wanted=True)
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await break_it()
    await connected(wanted=False)
    await owner.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    """A migrated server that a test may kill."""
    with temporary_state() as state, embedded_postgres(state) as server:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(migrate(server.database().owner_url, app_role=APPLICATION))
        yield server


async def answered(caller: Caller, path: str, *, status: int) -> Answer:
    """Repeat the request until the answer has this status."""
    for _ in range(100):
        answer = await caller.get(path)
        if answer.status == status:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} answers {answer.status}, not {status}")


@pytest.mark.soak
async def test_the_service_survives_a_restart_of_its_database(own_server: Postgres, tmp_path: Path) -> None:
    settings = settings_for(own_server.database().app_url)
    credentials = await founded(settings, "outlives", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        issued = await admin.issue()
        before = (await admin.get(f"/v1/tokens/{issued['token']['id']}")).json
        own_server.child.kill()
        own_server.child.sweep()
        assert (await admin.get("/healthz")).status == 200
        for answer in (
            await admin.get("/v1/tokens"),
            await admin.get("/readyz"),
            await admin.with_token(issued["secret"]).post("/v1/exchange"),
        ):
            assert (answer.status, answer.problem) == (503, "overloaded")
            assert answer.headers["Retry-After"] == "1"
        await asyncio.to_thread(own_server.start)
        await answered(admin, "/readyz", status=200)
        assert (await admin.get(f"/v1/tokens/{issued['token']['id']}")).json == before
        assert (await admin.with_token(issued["secret"]).post("/v1/exchange")).status == 200


async def test_the_service_may_start_before_its_database(own_server: Postgres, tmp_path: Path) -> None:
    settings = settings_for(own_server.database().app_url)
    credentials = await founded(settings, "before", tmp_path)
    own_server.child.stop()
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        assert (await admin.get("/readyz")).status == 503
        assert (await admin.get("/.well-known/jwks.json")).status == 503
        await asyncio.to_thread(own_server.start)
        await answered(admin, "/readyz", status=200)
        assert (await admin.get("/v1/tokens")).status == 200


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
def process(
    request: pytest.FixtureRequest, database: Database, unused_tcp_port: int
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`counterfoil api` as a real process."""
    environment = environment_for(database, port=unused_tcp_port, processes=request.param)
    running = subprocess.Popen(
        [sys.executable, "-c", "from counterfoil.cli import main; main()", "api"],
        env=environment, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    yield running, f"http://127.0.0.1:{unused_tcp_port}"
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert running.stderr is not None
    running.stderr.close()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def environment_for(database: Database, *, port: int, processes: int) -> dict[str, str]:
    settings = settings_for(database.app_url)
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.app_url,
        "REDIS_URL": settings.redis_url,
        "PEPPERS": "1:cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHA=",
        "KEY_ENCRYPTION_KEY": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
        "API_PORT": str(port),
        "API_PROCESSES": str(processes),
        "LOG_FORMAT": "json",
        "HOME": "/proc/nowhere",  # as in a container without a home directory
    }


async def test_the_command_serves_counts_and_stops_cleanly(process: tuple[subprocess.Popen[bytes], str]) -> None:
    running, url = process
    async with ClientSession(url) as session:
        for _ in range(100):
            try:
                async with session.get("/readyz") as answer:
                    assert answer.status == 200
                    break
            except ClientError:
                await asyncio.sleep(0.1)
        # New connections reach every process, and each process knows the counts of all.
        for _ in range(20):
            async with ClientSession(url) as other, other.get("/healthz") as answer:
                assert answer.status == 200
        async with session.get("/metrics") as answer:
            numbers = await answer.text()
    assert re.search(r'request_seconds_count\{method="GET",route="/healthz",status="200"\} 20\.0', numbers)
    running.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(running.wait, 20) == 0
    assert running.stderr is not None
    lines = [msgspec.json.decode(line) for line in running.stderr.read().splitlines()]
    assert {"api_started", "request", "api_stopped"} <= {line["event"] for line in lines}
    started = next(line for line in lines if line["event"] == "api_started")
    assert started["public_url"] == url
    assert f"http://{started['address'][0]}:{started['address'][1]}" == url
    assert not [line for line in lines if line["level"] in {"warning", "error"}]


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_the_service_listens_on_an_ipv6_address_of_any_spelling(
    database: Database, unused_tcp_port: int, processes: int
) -> None:
    environment = environment_for(database, port=unused_tcp_port, processes=processes) | {"API_HOST": "0:0:0:0:0:0:0:1"}
    command = [sys.executable, "-c", "from counterfoil.cli import main; main()", "api"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        lines = (msgspec.json.decode(line) for line in running.stderr)
        started = next(line for line in lines if line["event"] == "api_started")
        with socket.create_connection(("::1", unused_tcp_port), timeout=10):
            pass
        running.terminate()
        running.stderr.read()
    assert (started["public_url"], started["address"][0]) == (f"http://[::1]:{unused_tcp_port}", "::1")


@pytest.mark.soak
def test_processes_open_only_their_listening_socket(database: Database, unused_tcp_port: int, tmp_path: Path) -> None:
    environment = environment_for(database, port=unused_tcp_port, processes=2)
    command = [sys.executable, "-c", "from counterfoil.cli import main; main()", "api"]
    with subprocess.Popen(command, env={**environment, "HOME": str(tmp_path)}, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        line = msgspec.json.decode(running.stderr.readline())
        assert (line["event"], line["processes"]) == ("api_started", 2)
        running.terminate()
        rest = running.stderr.read()
    assert [msgspec.json.decode(line)["level"] for line in rest.splitlines()].count("error") == 0
    assert list(tmp_path.rglob("*")) == []
