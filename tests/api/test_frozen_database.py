"""While the database hangs, a request without effects never has an unknown outcome, and public documents are served."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import ClientSession

from api.freezing_proxy import Freezing, freezing
from api.service import Caller, founded, served, settings_for
from api.test_service import answered
from counterfoil.uses import signing_keys
from counterfoil_api import application
from counterfoil_api.application import make_app, routes
from counterfoil_api.operations.api import Route
from counterfoil_api.operations.reading import Source
from counterfoil_dev.postgres import Database

READS_BY_POST = {"/v1/introspect", "/v1/revocations/plan"}
FROM_MEMORY = {"/", "/healthz", "/openapi.json", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server"}


@dataclass(frozen=True, slots=True)
class Place:
    way: Freezing
    admin: Caller


@pytest.fixture
async def place(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    credentials = await founded(settings_for(database.app_url), "frozen", tmp_path)
    every = [replace(route, patience_seconds=None) for route in routes()]
    monkeypatch.setattr(application, "routes", lambda: every)  # none waits longer than the others
    async with freezing(database) as way:
        settings = settings_for(way.url, REQUEST_TIMEOUT="4s")
        async with served(make_app(settings)) as url, ClientSession(url) as session:
            admin = Caller(session, f"Bearer {credentials['admin_token']}")
            for path in ("/readyz", "/v1/tokens/self"):
                await answered(admin, path, status=200)
            monkeypatch.setattr(signing_keys, "STALE_SECONDS", 0.0)
            way.thawed.clear()
            yield Place(way, admin)
            way.thawed.set()


async def outcome_of(caller: Caller, route: Route) -> tuple[str, int, str]:
    path = re.sub(r"\{[a-z_]+\}", "2", route.path.replace("{owner_type}", "service"))
    if route.reads(Source.FORM):
        answer = await caller.form(path, token="cfl_x")
    else:
        answer = await caller.ask(route.method, path, b'{"filter":{"name":"x"}}' if route.method == "POST" else None)
    document = {} if answer.status == 200 else answer.json
    # OAuth has one error code for every temporary failure.
    unavailable = document.get("error") == "temporarily_unavailable"
    problem = "overloaded" if unavailable else document.get("type", "").rpartition(":")[2]
    return route.path, answer.status, problem


def test_all_read_only_operations_are_listed() -> None:
    assert {route.path for route in routes() if route.method != "GET" and not route.changes} == READS_BY_POST
    assert not any(route.changes for route in routes() if route.method == "GET")


async def test_a_read_never_reports_an_unknown_outcome(place: Place) -> None:
    reading = [route for route in routes() if not route.changes and route.path != "/metrics"]
    answers = await asyncio.gather(*(outcome_of(place.admin, route) for route in reading))
    expected = {(path, 200, "") if path in FROM_MEMORY else (path, 503, "overloaded") for path, _, _ in answers}
    assert set(answers) == expected


async def test_a_request_refused_at_authentication_has_no_unknown_outcome(place: Place) -> None:
    answer = await place.admin.post("/v1/tokens", {"name": "x"})
    assert (answer.status, answer.problem) == (503, "overloaded")
    assert answer.headers["Retry-After"] == "1"


async def test_published_keys_are_served_from_memory_for_their_cache_lifetime(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await place.admin.get("/.well-known/jwks.json")
    assert (keys.status, len(keys.json["keys"])) == (200, 1)
    assert keys.headers["Cache-Control"] == f"public, max-age={signing_keys.PUBLISHED_SECONDS:.0f}"
    monkeypatch.setattr(signing_keys, "PUBLISHED_SECONDS", 0.0)
    refused = await place.admin.get("/.well-known/jwks.json")
    assert (refused.status, refused.problem, refused.headers["Retry-After"]) == (503, "overloaded", "1")
    place.way.thawed.set()
    await answered(place.admin, "/.well-known/jwks.json", status=200)
