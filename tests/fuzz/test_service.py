"""Fuzzed requests of every operation from callers of every kind: none causes an error."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api.service import PROBLEM, Answer, Caller
from counterfoil_api.application import routes
from counterfoil_api.operations.api import Route
from counterfoil_api.operations.reading import Source
from fuzz.parser import ID
from fuzz.shapes import ODD, foreign, foreign_bytes
from fuzz.test_documents import WORDS, documents, fields

# Operations that would end the common account, or stop the service for a while, are called only by strangers.
SPARED = frozenset({"/v1/account/end-secrets"})
MEMBERS = {"type", "title", "status", "detail"}
WHO = ("admin",) * 8 + ("member",) * 3 + ("nobody",) * 2 + ("password",)
"""A password takes its time, as it should."""
Request = tuple[Route, str, str, bytes, dict[str, str]]


NEAR = ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "00000001", "1e3", "http://[", "00000000", "a" * 99)


def of(route: Route, source: Source) -> Any:
    return next((parameter.type for parameter in route.parameters if parameter.source is source), None)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One operation with something in each of its places."""
    route = draw(st.sampled_from(routes()))
    refs = foreign(st.sampled_from((ID, "1", "2", "self", "99999999999999999999", "a.b", "tokens.read")))
    path = "/".join(
        quote(draw(refs).encode("utf-8", "surrogatepass"), safe="") if part.startswith("{") else part
        for part in route.path.split("/")
    )
    query = of(route, Source.QUERY)
    if query is not None and draw(st.booleans()):
        path += "?" + draw(fields(query)).replace(" ", "%20").replace("#", "%23")
    body, form = of(route, Source.BODY), of(route, Source.FORM)
    raw = draw(foreign_bytes(documents(body) if body else fields(form))) if body or form else b""
    headers = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
    for name in ("If-Match", "Idempotency-Key", "X-Authorization-OTP", "X-Request-Id", "X-Forwarded-For"):
        if draw(st.integers(0, 5)) == 0:
            headers[name] = draw(foreign(st.sampled_from(('"1"', "a" * 22, "123456", "ab2c-de3f-gh4i-jk5l", "::1"))))
    return route, draw(st.sampled_from(WHO)), path, raw, headers


def sendable(text: str) -> str:
    """As much of a text as a client can put into a header."""
    return "".join(char for char in text if char.isprintable() and not "\ud800" <= char <= "\udfff")


async def answered(callers: dict[str, Caller], request: Request) -> Answer:
    route, who, path, raw, headers = request
    caller = callers["nobody" if path.split("?")[0] in SPARED else who]
    told = {name: sendable(value) for name, value in headers.items()}
    return await caller.ask(route.method, path, raw, headers=told)


def sound(request: Request, answer: Answer) -> None:
    """Whether a program can read the answer, and it is no internal error."""
    assert answer.status < 500, (request, answer.body)
    assert answer.headers["X-Request-Id"]
    if answer.status >= 400 and answer.headers["Content-Type"] == "application/problem+json":
        assert set(answer.json) >= MEMBERS
        assert answer.json["type"].startswith(PROBLEM)
        assert len(answer.body) < 4_096


def sent(examples: int) -> list[Request]:
    """This many requests, drawn at once, since hypothesis and the event loop cannot be nested."""
    found: list[Request] = []

    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(requests())
    def draws(request: Request) -> None:
        found.append(request)

    draws()
    return found


async def all_answered(callers: dict[str, Caller], examples: int) -> set[int]:
    drawn = await asyncio.to_thread(sent, examples)
    assert {route.path for route, *_ in drawn}
    statuses = set()
    for request in drawn:
        answer = await answered(callers, request)
        sound(request, answer)
        statuses.add(answer.status)
    return statuses


async def test_no_request_causes_an_error(callers: dict[str, Caller]) -> None:
    statuses = await all_answered(callers, 120)
    # Each of these is a tenth of all answers or more; 401 and 403 are so rare that a draw may have none.
    assert {200, 400, 404, 422} <= statuses


@pytest.mark.campaign
@pytest.mark.timeout(1200)
async def test_no_request_of_a_long_run_causes_an_error(callers: dict[str, Caller]) -> None:
    await all_answered(callers, 4_000)


TEXTS = sorted({sendable(each) for each in (*ODD, *WORDS, *NEAR)})
Ask = Callable[[str], Awaitable[Answer]]


async def test_no_odd_text_breaks_a_reader_behind_the_ledger(callers: dict[str, Caller]) -> None:
    """Parameters whose readers need the ledger, each with every odd text."""
    admin, password = callers["admin"], callers["password"]

    def otp(text: str) -> Awaitable[Answer]:
        return password.ask("GET", "/v1/account", headers={"X-Authorization-OTP": text or "0"})

    def owner(text: str) -> Awaitable[Answer]:
        return admin.post("/v1/tokens", {"name": "n", "owner": {"type": "user", "id": text}})

    places: dict[str, Ask] = {
        "ref": lambda text: admin.ask("GET", f"/v1/tokens/{quote(text, safe='')}"),
        "user": lambda text: admin.ask("GET", f"/v1/users/{quote(text, safe='')}"),
        "as_of": lambda text: admin.get("/v1/tokens/1", as_of=text),
        "cursor": lambda text: admin.get("/v1/tokens", cursor=text),
        "owner_id": lambda text: admin.get("/v1/tokens", owner_type="user", owner_id=text),
        "created_after": lambda text: admin.get("/v1/tokens", created_after=text),
        "name": lambda text: admin.get("/v1/tokens", name=text),
        "resource": lambda text: admin.form("/v1/token", grant_type="client_credentials", resource=text),
        "owner": owner,
        "otp": otp,
    }
    for name, ask in places.items():
        # Hashing a password takes time, as it should.
        for text in TEXTS if name != "otp" else random.Random(7).sample(TEXTS, 12):
            answer = await ask(text)
            assert answer.status < 500, (name, text, answer.body)
