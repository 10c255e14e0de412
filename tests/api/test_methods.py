"""The document at `/`, and answers to methods that a path does not have."""

import re
from uuid import uuid4

import pytest

from api.service import Caller
from counterfoil_api.application import routes
from counterfoil_api.operations.methods import WrongMethods

TRIED = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture
def anybody(admin: Caller) -> Caller:
    return Caller(admin.session, "")


async def test_the_root_describes_the_service_and_links_to_its_documents(anybody: Caller) -> None:
    answer = await anybody.get("/")
    assert (answer.status, answer.json["name"]) == (200, "Counterfoil")
    assert answer.json["openapi"] == "https://tokens.example.org/openapi.json"
    for name in ("openapi", "health", "readiness", "oauth"):
        assert (await anybody.get(answer.json[name].removeprefix("https://tokens.example.org"))).status == 200
    head = await anybody.ask("HEAD", "/")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize(
    ("requested", "meant", "allowed"),
    [
        ("DELETE /v1/tokens/2", "POST /v1/tokens/{ref}/revoke", "GET, HEAD, PATCH"),
        ("PUT /v1/tokens/2", "PATCH /v1/tokens/{ref}", "GET, HEAD, PATCH"),
        ("POST /v1/tokens/2", "PATCH /v1/tokens/{ref}", "GET, HEAD, PATCH"),
        ("DELETE /v1/tokens", "POST /v1/revocations", "GET, HEAD, POST"),
        ("PUT /v1/tokens", "POST /v1/tokens", "GET, HEAD, POST"),
        ("GET /v1/tokens/2/revoke", "POST /v1/tokens/{ref}/revoke", "POST"),
        ("GET /v1/tokens/import", "POST /v1/tokens/import", "POST"),
        ("DELETE /v1/users/2", "POST /v1/users/{user}/remove", "GET, HEAD, PATCH"),
        ("PUT /v1/users/2", "PATCH /v1/users/{user}", "GET, HEAD, PATCH"),
        ("DELETE /v1/users/self/totp", "POST /v1/users/{user}/totp/remove", "POST"),
        ("DELETE /v1/revocations/2", "POST /v1/revocations/{revocation}/cancel", "GET, HEAD"),
        ("PUT /v1/account", "PATCH /v1/account", "GET, HEAD, PATCH"),
        ("GET /v1/scopes/a.b", "GET /v1/scopes", "DELETE, PUT"),
        ("PATCH /v1/scopes/a.b", "PUT /v1/scopes/{scope}", "DELETE, PUT"),
        ("POST /v1/scopes", "PUT /v1/scopes/{scope}", "GET, HEAD"),
        ("GET /v1/scope-sets/a", "GET /v1/scope-sets", "DELETE, PUT"),
        ("POST /v1/scope-sets", "PUT /v1/scope-sets/{name}", "GET, HEAD"),
        ("POST /", "GET /", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_refused_with_the_likely_one(
    anybody: Caller, requested: str, meant: str, allowed: str
) -> None:
    method, _, path = requested.partition(" ")
    refused = await anybody.ask(method, path)
    assert (refused.status, refused.problem, refused.headers["Allow"]) == (405, "method-not-allowed", allowed)
    assert refused.json["detail"].endswith(f"; use {meant}.")


async def test_every_path_names_its_methods_in_the_refusal_of_others(anybody: Caller) -> None:
    by_path: dict[str, set[str]] = {}
    for route in routes():
        by_path.setdefault(route.path, set()).update({route.method} | ({"HEAD"} if route.method == "GET" else set()))
    operations = {f"{route.method} {route.path}" for route in routes()}
    for path, methods in by_path.items():
        named = re.sub(r"\{[^}]+\}", str(uuid4()), path)
        for method in (*TRIED, "PROPFIND"):
            if method in methods:
                continue
            refused = await anybody.ask(method, named)
            assert (refused.status, refused.headers["Allow"]) == (405, ", ".join(sorted(methods))), (method, path)
            if method != "HEAD":
                meant = refused.json["detail"].partition("; use ")[2].removesuffix(".").split(" or ")[-1]
                assert meant in operations, refused.body


def test_an_unknown_method_is_not_repeated() -> None:
    refusal = WrongMethods("/v1/tokens", routes()).refusal("S3CRET-METHOD")
    assert refusal.detail == "This is not a method of /v1/tokens; use GET or POST /v1/tokens."


def test_placeholder_routes_are_not_documented_as_operations() -> None:
    operations = {f"{route.method} {route.path}" for route in routes()}
    paths = {route.path for route in routes()}
    for route in routes():
        for tried in route.instead_of:
            assert tried not in operations
            assert tried.partition(" ")[2] in paths, f"{tried} would be 404"
