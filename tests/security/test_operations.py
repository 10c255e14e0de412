"""L. Clocks, retries and late jobs."""

import ast
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import counterfoil
import counterfoil_api
import counterfoil_worker
from api.service import Caller
from core.histories import CREATED, ENDS, THRESHOLDS, command_of, given
from counterfoil.core.subjects.token.commands import Sweep
from counterfoil.core.subjects.token.events import Expired, Expiring

LATE = {"a minute": timedelta(minutes=1), "a day": timedelta(days=1), "a month": timedelta(days=30)}
READS_A_CLOCK = {"now", "utcnow", "today", "time_ns", "gmtime", "localtime"}
TELLING_PEOPLE = ("uses/audit/", "cli/", "client/")
"""Rooms that show, send or compare times on the machine of who calls, and decide nothing."""


def clocks(source: str) -> set[str]:
    """The places in a source that read the wall clock of the machine."""
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = {node.attr for node in called if isinstance(node, ast.Attribute)}
    of_time = {
        ast.unparse(node) for node in called if ast.unparse(node) in ("time.time", "time.time_ns", "time", "loop.time")
    }
    return (names & READS_A_CLOCK) | (of_time - {"loop.time"})


def test_no_decision_reads_the_clock_of_its_machine() -> None:
    found = {}
    for package in (counterfoil, counterfoil_api, counterfoil_worker):
        root = Path(package.__path__[0])
        for path in root.rglob("*.py"):
            inner = path.relative_to(root)
            if not inner.as_posix().startswith(TELLING_PEOPLE) and (reads := clocks(path.read_text())):
                found[str(inner)] = reads
    assert found == {}
    assert clocks("import time\ntime.time()") == {"time.time"}
    assert clocks("datetime.now(UTC)") == {"now"}


@pytest.mark.parametrize("skew", [-600.0, 600.0])
async def test_a_skewed_clock_changes_nothing(admin: Caller, monkeypatch: pytest.MonkeyPatch, skew: float) -> None:
    honest, real = datetime.now(UTC), time.time
    good = await admin.issue(expires_at=(honest + timedelta(minutes=5)).isoformat())
    dead = await admin.issue(lifetime="1us")
    monkeypatch.setattr(time, "time", lambda: real() + skew)
    for issued, alive in ((good, True), (dead, False)):
        verdict = (await admin.form("/v1/introspect", token=issued["secret"])).json
        assert verdict["active"] is alive
        assert (await admin.with_token(issued["secret"]).post("/v1/exchange")).status == (200 if alive else 401)
    bearer = (await admin.with_token(good["secret"]).post("/v1/exchange")).json
    assert 290 <= bearer["expires_in"] <= 300
    assert (await admin.form("/v1/introspect", token=bearer["access_token"])).json["active"] is True
    made = (await admin.issue(lifetime="1h"))["token"]
    assert abs(datetime.fromisoformat(made["created_at"]) - honest) < timedelta(seconds=60)


async def test_a_key_that_encrypts_a_secret_is_long_enough(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue())['token']['id']}"
    calls = {"/v1/tokens": {"name": "x"}, f"{path}/clone": {}, f"{path}/rotate": {"grace": "0s"}}
    for call, body in calls.items():
        assert (await admin.post(call, body, Idempotency_Key="k" * 21)).problem == "key-too-short"
        assert (await admin.post(call, body, Idempotency_Key="k" * 256)).status == 422
    assert (await admin.post(f"{path}/suspend", {}, Idempotency_Key="k")).status == 200


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("due", [0, 86_400, 7 * 86_400, 30 * 86_400])
def test_a_late_sweep_announces_the_truth_once(due: int, late: str) -> None:
    at = ENDS - timedelta(seconds=due) + LATE[late]
    token = given(CREATED)
    (said,) = token.when(command_of(Sweep), at)
    if at >= ENDS:
        assert isinstance(said, Expired)
    else:
        assert isinstance(said, Expiring)
        assert said.threshold == min(each for each in THRESHOLDS if ENDS - timedelta(seconds=each) <= at)
    assert given(CREATED, (at, said)).when(command_of(Sweep), at) == []
