"""I. The log contains everything that happens, nothing more, in lines of its own."""

import io
import json
import logging
from collections.abc import Iterator
from typing import get_args

import pytest
import structlog

from api.service import Caller
from counterfoil.core.secret import mint
from counterfoil.logging import configure
from counterfoil.postgres.connection import Connection
from counterfoil.settings import LogFormat

FORMATS = get_args(LogFormat)
OPAQUE = "hunter2-hunter2"
LINES = [
    "a\nb",
    "a\r\nforged line",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\u202egnp.exe",
    "\x00",
    "=cmd|' /C calc'!A0",
]


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
    logging.getLogger("a.library").warning("%s %s", event, facts)
    return stream.getvalue()


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("header", [
    "Authorization", "Proxy-Authorization", "X-Authorization-OTP", "X-Api-Key", "CF-Access-Client-Secret", "Cookie",
    "Set-Cookie", "Idempotency-Key", "X-Client-Secret",
])  # fmt: skip
def test_headers_with_credentials_are_not_logged(log_format: LogFormat, header: str) -> None:
    stream = io.StringIO()
    configure(log_format, "info", stream=stream)
    structlog.get_logger().info("request", headers={header: OPAQUE, header.lower(): OPAQUE}, **{header: OPAQUE})
    assert OPAQUE not in stream.getvalue()


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("name", ["token", "session", "access_token", "client_secret", "api_key", "password"])
def test_urls_with_credentials_are_not_logged(log_format: LogFormat, name: str) -> None:
    text = f"GET https://example.org/x?a=1&{name}={OPAQUE}&b=2 HTTP/1.1"
    assert OPAQUE not in logged(log_format, text, url=text)
    assert "b=2" in logged(log_format, text)


@pytest.mark.parametrize("log_format", FORMATS)
def test_the_last_filter_removes_our_own_secrets(log_format: LogFormat) -> None:
    plain = mint("service").plain
    assert plain[20:] not in logged(log_format, plain, x=[{"y": f"a{plain}b"}], z=ValueError(plain))


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("text", LINES)
def test_a_logged_value_cannot_start_a_line_or_control_a_terminal(log_format: LogFormat, text: str) -> None:
    said = logged(log_format, text, name=text, deep=[{"er": text}])
    assert len(said.splitlines()) == 2
    assert said.replace("\n", "").isprintable()
    if log_format == "json":
        assert json.loads(said.splitlines()[0])["name"]


async def test_a_change_that_cannot_be_logged_does_not_happen(admin: Caller, owner: Connection) -> None:
    told = io.StringIO()
    configure("console", "info", stream=told)
    counts = """
        select (select count(*) from token), (select count(*) from secret), (select count(*) from idempotency_key)"""
    before = await owner.fetchrow(counts)
    kept = (await admin.issue(name="kept"))["token"]["id"]
    token = (await admin.get(f"/v1/tokens/{kept}")).json
    await owner.execute(
        """
        create function no_room() returns trigger language plpgsql as $$ begin raise exception 'no room'; end $$;
        create trigger full_disk before insert on event for each row execute function no_room()"""
    )
    refused = [
        await admin.post("/v1/tokens", {"name": "x"}, Idempotency_Key="of-a-full-disk-12345678"),
        await admin.post("/v1/exchange"),
        await admin.post(f"/v1/tokens/{token['id']}/rotate", {"grace": "0s"}),
        await admin.post(f"/v1/tokens/{token['id']}/revoke", {"reason": "x"}),
        await admin.patch(f"/v1/tokens/{token['id']}", {"name": "changed"}),
    ]
    await owner.execute("drop trigger full_disk on event; drop function no_room")
    assert [answer.status for answer in refused] == [500] * len(refused)
    assert told.getvalue().count("RaiseError: no room") >= len(refused)
    assert admin.credentials[30:] not in told.getvalue()
    assert before is not None
    assert tuple(await owner.fetchrow(counts) or ()) == (before[0] + 1, before[1] + 1, before[2])
    assert (await admin.get(f"/v1/tokens/{token['id']}")).json == token
    assert (await admin.post("/v1/tokens", {"name": "x"}, Idempotency_Key="of-a-full-disk-12345678")).status == 201


def fail(message: str) -> None:
    raise ValueError(message)


@pytest.mark.parametrize("log_format", FORMATS)
def test_an_exception_cannot_control_a_terminal_either(log_format: LogFormat) -> None:
    stream = io.StringIO()
    configure(log_format, "info", stream=stream)
    try:
        fail("\x1b[2Jgone \u202e")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "001b[2Jgone" in stream.getvalue()
    assert stream.getvalue().replace("\n", "").isprintable()


async def test_every_state_has_its_event(owner: Connection) -> None:
    orphans = await owner.fetchval(
        """
        select count(*)
          from token t
         where not exists (select from event e
                            where (e.account_id, e.subject_id, e.version) = (t.account_id, t.token_id, t.version))"""
    )
    assert orphans == 0
