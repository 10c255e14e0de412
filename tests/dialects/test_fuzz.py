"""Fuzzed requests of every operation of every dialect: none causes an error or an answer in a wrong form."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api.service import Answer, Caller, basic
from counterfoil.settings import Settings
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.register import DIALECTS
from counterfoil_api.operations.api import Route
from counterfoil_api.operations.reading import Source
from dialects.accounts import Account, opened
from dialects.dialect_clients import SPEAKERS, Speaker, Virtuozzo
from dialects.shapes import broken, dialect_of, refused
from fuzz.parser import ID
from fuzz.shapes import foreign, foreign_bytes
from fuzz.test_documents import documents, fields
from fuzz.test_service import sendable

WHO: Final = ("admin",) * 8 + ("member",) * 3 + ("nobody",)
SPARED: Final = ("deletetokens", "signout")
"""What could end the tokens of those who ask, all at once: by nobody but strangers."""
GATE: Final = "/virtuozzo/1.0/{group}/{service}/rest/{function}"
"""Where nothing stands behind it, it says so."""
Request = tuple[Route, str, str, bytes, dict[str, str]]
HEADERS: Final = (
    "Idempotency-Key", "X-Authorization-OTP", "X-Auth-Email", "CF-Access-Client-Id", "x-stainless-retry-count",
)  # fmt: skip
HEADER_TEXTS: Final = ("a" * 22, "123456", "1", f"{'a' * 32}.access", "a@b.example")
CANVUS: Final = "JDJhJDA0JENKTWJDT0g1QVNYSkFQTXh3NlhNWi5CWjlqT05yR2h0cXJ1d1VQZW9sZWlsWkJneXRXbTRp"


def of(route: Route, source: Source) -> Any:
    found = next((parameter.type for parameter in route.parameters if parameter.source is source), None)
    return found if isinstance(found, type) else dict


@st.composite
def requests(draw: st.DrawFn, account: Account, dialect: Dialect) -> Request:
    """One operation of a dialect with something in each of its places."""
    route = draw(st.sampled_from(dialect.api.routes))
    known = (account.account.hex, account.zone_id, account.application_id, "1", "2", ID, CANVUS, "0" * 24, "9" * 20)
    refs = foreign(st.sampled_from(known))
    path = "/".join(
        quote(draw(refs).encode("utf-8", "surrogatepass"), safe="") if part.startswith("{") else part
        for part in route.path.split("/")
    )
    if route.reads(Source.QUERY) and draw(st.booleans()):
        path += "?" + draw(fields(of(route, Source.QUERY))).replace(" ", "%20").replace("#", "%23")
    raw, headers = b"", {"Content-Type": "application/json"}
    if route.reads(Source.BODY):
        raw = draw(foreign_bytes(documents(of(route, Source.BODY))))
    elif route.reads(Source.FIELDS):
        raw = draw(foreign_bytes(fields(of(route, Source.FIELDS))))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for name in HEADERS:
        if draw(st.integers(0, 7)) == 0:
            headers[name] = draw(
                foreign(st.sampled_from(("a" * 22, "123456", "1", f"{'a' * 32}.access", "a@b.example")))
            )
    return route, draw(st.sampled_from(WHO)), path, raw, headers


def drawn(account: Account, dialect: Dialect, examples: int) -> list[Request]:
    """This many requests of a dialect, drawn at once, since hypothesis and the event loop cannot be nested."""
    found: list[Request] = []

    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(requests(account, dialect))
    def draws(request: Request) -> None:
        found.append(request)

    draws()
    return found


class Crowd:
    """Callers of every kind in every dialect."""

    def __init__(self, session: ClientSession, account: Account, admins: dict[str, Speaker]) -> None:
        self.session, self.account, self.admins = session, account, admins

    def caller(self, dialect: str, who: str) -> Caller:
        if who == "admin":
            return self.admins[dialect].caller
        secret = self.account.member_token if who == "member" else "nobody"
        if dialect == "canvus":
            return Caller(self.session, "", {"Private-Token": secret})
        return Caller(self.session, basic("", secret) if dialect == "scalingo" else f"Bearer {secret}")

    async def ask(self, request: Request) -> Answer:
        route, who, path, raw, headers = request
        dialect = dialect_of(route.path).name
        reported = {name: sendable(value) for name, value in headers.items()}
        if dialect == "virtuozzo" and who != "nobody" and not path.split("?")[0].endswith(SPARED):
            admin = self.admins[dialect]
            assert isinstance(admin, Virtuozzo)
            proof = {"session": admin.session if who == "admin" else self.account.member_token}
            path += ("&" if "?" in path else "?") + urlencode(proof)
        return await self.caller(dialect, who).ask(route.method, path, raw or None, headers=reported)


def sound(request: Request, answer: Answer) -> bool:
    """Whether it is a refusal; checks that vendors' clients can read it and that it is no internal error."""
    route = request[0]
    assert answer.headers["X-Request-Id"]
    if answer.status == 431:  # an overlong head has no path
        return True
    if route.path != GATE or answer.json["result"] != 99 or "VIRTUOZZO_UPSTREAM" not in answer.json["error"]:
        assert not broken(route.path, answer), (request, answer.body)
    return refused(route.path, answer)


@pytest.fixture
async def crowd(web_session: ClientSession, dialect_settings: Settings, here: Account, tmp_path: Path) -> Crowd:
    """Callers of a separate account: their wrong passwords would keep others from logging in."""
    assert here  # the first account, to which logins without an account belong
    account = await opened(dialect_settings, "crowd", tmp_path)
    return Crowd(web_session, account, {each.name: await each.of(web_session, account) for each in SPEAKERS})


async def all_answered(crowd: Crowd, examples: int) -> set[tuple[str, bool]]:
    """Send this many requests of each dialect; return which dialects refused and which answered."""
    message = set()
    for dialect in DIALECTS:
        for request in await asyncio.to_thread(drawn, crowd.account, dialect, examples):
            if "subscribe" in request[2]:  # an endless answer, read by other tests
                continue
            answer = await crowd.ask(request)
            message.add((dialect.name, sound(request, answer)))
    return message


async def test_no_request_breaks_any_dialect(crowd: Crowd) -> None:
    message = await all_answered(crowd, 50)
    assert {dialect for dialect, refused in message if refused} == {dialect.name for dialect in DIALECTS}
    assert any(not refused for _, refused in message)


@pytest.mark.campaign
@pytest.mark.timeout(1200)
async def test_no_request_of_a_long_run_breaks_any_dialect(crowd: Crowd) -> None:
    message = await all_answered(crowd, 1_200)
    assert {dialect for dialect, refused in message if not refused} == {dialect.name for dialect in DIALECTS}
