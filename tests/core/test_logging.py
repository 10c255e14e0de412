import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

import pytest
import structlog

from counterfoil.logging import about, configure, request_id
from counterfoil.settings import LogFormat

TOKEN = "cfl_service_" + "a1B2c3D4e5" * 5
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ0MSJ9.MEUCIQDfakefakefake"
FORMATS = get_args(LogFormat)


@dataclass
class Holder:
    plain: str

    def __repr__(self) -> str:
        return "Holder(…)"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = before[0], before[1]


def logged(log_format: LogFormat, event: str, **facts: object) -> str:
    stream = io.StringIO()
    configure(log_format, "info", stream=stream)
    structlog.get_logger().info(event, **facts)
    return stream.getvalue()


def line(**facts: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(logged("json", "token_created", **facts))
    return found


def test_a_line_is_an_event_and_its_facts() -> None:
    found = line(token_id=UUID(int=1), scopes=["tokens.read"], count=3, ratio=0.5, late=None)
    assert found.pop("at").endswith("Z")
    assert found == {
        "event": "token_created",
        "level": "info",
        "token_id": "00000000-0000-0000-0000-000000000001",
        "scopes": ["tokens.read"],
        "count": 3,
        "ratio": 0.5,
        "late": None,
    }


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize(
    "key", ["authorization", "Authorization", "secret", "password", "admin_token", "idempotency_key", "newSecret"]
)
def test_the_value_of_a_key_with_a_secret_name_is_not_shown(log_format: LogFormat, key: str) -> None:
    for facts in ({key: "hunter2"}, {"request": {"headers": [{key: "hunter2"}]}}):
        assert "hunter2" not in logged(log_format, "request_done", **facts)


def test_ids_and_hints_are_shown() -> None:
    found = line(token_id="t1", secret_hint="cfl_se…Qx", broken=True)
    assert (found["token_id"], found["secret_hint"], found["broken"]) == ("t1", "cfl_se…Qx", True)


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"presented {TOKEN}.", TOKEN),
        (f"a bearer {JWT}", JWT),
        (f"cfl_user_{'A' * 46}{TOKEN}", TOKEN[-20:]),
        (f"x{JWT}", JWT[-20:]),
        (f"{TOKEN}{JWT}", JWT[-20:]),
        (f"{'x' * 600}{JWT}", JWT[-20:]),
        (f"{JWT[:-10]}{JWT}", JWT[-20:]),
        (f"eyJhbGciOiJFUzI1NiJ9.a.{JWT}", JWT[-20:]),
        ("postgresql://counterfoil_app:hunter2@db/counterfoil", "hunter2"),
        ("unreachable: redis://:hunter2@cache:6379/0", "hunter2"),
        ("Authorization: Basic aHVudGVyMjpodW50ZXIy", "aHVudGVyMjpodW50ZXIy"),
        ("authorization=Bearer hunter2-hunter2", "hunter2-hunter2"),
    ],
)
def test_a_value_that_looks_like_a_secret_is_not_shown(log_format: LogFormat, text: str, secret: str) -> None:
    assert secret not in logged(log_format, text)
    assert secret not in logged(log_format, "x", note=text)
    assert secret not in logged(log_format, "x", deep={"er": [text]})


@pytest.mark.parametrize("log_format", FORMATS)
def test_an_exception_is_logged_without_its_secrets(log_format: LogFormat) -> None:
    stream = io.StringIO()
    configure(log_format, "info", stream=stream)
    try:
        int(TOKEN)
    except ValueError:
        structlog.get_logger().exception("crashed")
    assert "ValueError" in stream.getvalue()
    assert "int() with base 10: '[redacted]'" in stream.getvalue()


@pytest.mark.parametrize("log_format", FORMATS)
def test_an_object_is_logged_as_its_repr(log_format: LogFormat) -> None:
    said = logged(log_format, "x", holder=Holder("hunter2"), raw=b"hunter2")
    assert "hunter2" not in said
    assert "Holder(…)" in said
    assert "<7 bytes>" in said


@pytest.mark.parametrize("log_format", FORMATS)
def test_libraries_log_through_the_same_chain(log_format: LogFormat) -> None:
    stream = io.StringIO()
    configure(log_format, "info", stream=stream)
    logging.getLogger("asyncpg").warning("lost %s", "postgresql://a:hunter2@db/x")
    logging.getLogger("asyncpg").debug("never said")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"careful with {TOKEN}", stacklevel=1)
    said = stream.getvalue()
    assert "lost postgresql://[redacted]@db/x" in said
    assert "careful with [redacted]" in said
    assert "never said" not in said
    if log_format == "json":
        assert json.loads(said.splitlines()[0])["logger"] == "asyncpg"


def test_bound_facts_are_in_every_line() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    with about(request_id="r-1"):
        structlog.get_logger().info("inside")
        logging.getLogger("library").info("inside too")
    structlog.get_logger().info("outside")
    inside, too, outside = map(json.loads, stream.getvalue().splitlines())
    assert inside["request_id"] == too["request_id"] == "r-1"
    assert "request_id" not in outside


def test_the_level_is_respected() -> None:
    stream = io.StringIO()
    configure("json", "error", stream=stream)
    structlog.get_logger().warning("quiet")
    assert stream.getvalue() == ""


def test_a_harmless_request_id_is_kept_and_others_are_replaced() -> None:
    assert request_id("trace-0123456789") == "trace-0123456789"
    for given in (None, "", "short", "line\nbreak-1234", "x" * 65):
        assert len(request_id(given)) == 32
        assert request_id(given) != given
    assert TOKEN not in request_id(TOKEN)
