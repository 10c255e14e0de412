"""Every operation is called by every role: a missing scope is named, and no other refusal comes before it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession

from api.service import Answer, Caller, founded
from api.user_fixtures import Person, person
from counterfoil.core.principal import SYSTEM
from counterfoil.core.subjects.token.commands import Sweep
from counterfoil.core.subjects.user_events import ROLE_SCOPES
from counterfoil.door import Door
from counterfoil.settings import Settings
from counterfoil_api.application import routes
from counterfoil_api.operations.api import Route
from counterfoil_api.operations.reading import Source

MAY = {
    "tokens.create": "administrator member",
    "tokens.import": "administrator",
    "tokens.read": "administrator operator auditor member",
    "tokens.update": "administrator member",
    "tokens.renew": "administrator member",
    "tokens.rotate": "administrator member",
    "tokens.suspend": "administrator operator member",
    "tokens.resume": "administrator member",
    "tokens.revoke": "administrator operator member",
    "tokens.introspect": "administrator",
    "alerts.read": "administrator operator auditor member",
    "account.read": "administrator operator auditor",
    "account.update": "administrator",
    "account.end_secrets": "administrator",
    "accounts.read": "administrator",
    "accounts.create": "administrator",
    "scopes.read": "administrator operator auditor member",
    "scopes.update": "administrator",
    "audit.read": "administrator auditor",
    "users.read": "administrator operator auditor",
    "users.create": "administrator",
    "users.update": "administrator",
    "users.disable": "administrator",
    "users.remove": "administrator",
    "users.reset": "administrator",
    "subscriptions.read": "administrator",
    "subscriptions.update": "administrator",
}
"""Which roles may do what; a member only with tokens of their own."""
FREE = {
    "/v1/exchange", "/v1/oauth/token", "/v1/leak-reports", "/v1/users/self/totp", "/v1/users/self/totp/confirm",
    "/v1/login",
    "/", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/openapi.json", "/healthz", "/readyz",
    "/metrics", "/v1/dialects",
}  # fmt: skip
"""Open to everybody, or to everybody who proves who they are, or something else than a scope."""
BODIES: dict[str, object] = {
    "/v1/scopes/{scope}": {"sentence": "What it is."},
    "/v1/scope-sets/{name}": {"scopes": ["a.b"]},
    "/v1/subscriptions": {"name": "x", "url": "https://192.88.98.1/x", "events": ["expired"]},
}
ENDING = "/v1/account/end-secrets"
SILENT = {"/v1/oauth/revoke"}
"""Answers everybody alike, allowed or not (RFC 7009 2.2)."""
OF_ALL = {"POST /v1/revocations", "POST /v1/revocations/plan"}
"""Reaches the tokens of all, so that no member may use it."""
UNREAD = {400, 405, 411, 415, 422, 500, 503}
"""Statuses of a request that never came to the question whether it is allowed."""

Asking = dict[str, Caller]


@pytest_asyncio.fixture(scope="module")
async def asking(api_settings: Settings, session: ClientSession, tmp_path_factory: pytest.TempPathFactory) -> Asking:
    """A token of a user of each role, in a separate account."""
    directory: Path = tmp_path_factory.mktemp("roles")
    reported = await founded(api_settings, f"roles-{uuid4().hex[:8]}", directory)
    boss = Caller(session, f"Bearer {reported['admin_token']}")
    found: Asking = {}
    for role in ROLE_SCOPES:
        user: Person = await person(boss, role)
        found[role] = boss.with_token((await user.asks().post("/v1/login")).json["issued"]["secret"])
    return found


def guarded(role: str) -> Iterator[Route]:
    """Every operation that needs a scope, except the one that would end the tokens of this test."""
    for route in routes():
        if route.scope and route.path not in SILENT and not (role == "administrator" and route.path == ENDING):
            yield route


def may(role: str, route: Route) -> bool:
    return role in MAY[str(route.scope)].split() and not (role == "member" and f"{route.method} {route.path}" in OF_ALL)


async def ask(caller: Caller, route: Route) -> Answer:
    path = route.path.format(
        ref=uuid4(), user=uuid4(), scope="a.b", name="some", revocation=uuid4(), id=uuid4(), key=uuid4(),
        owner_type="service", owner_id="some", subscription=uuid4(), delivery=uuid4(),
    )  # fmt: skip
    body: Any = BODIES.get(route.path, {} if route.example is None else msgspec.to_builtins(route.example))
    if route.reads(Source.FORM):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return await caller.ask(route.method, path, urlencode(body or {"token": "x"}).encode(), headers=form)
    return await caller.ask(route.method, path, msgspec.json.encode(body) if route.reads(Source.BODY) else None)


def test_the_scope_of_every_operation_is_in_the_table() -> None:
    assert {route.scope for route in routes() if route.scope} == set(MAY)
    assert {route.path for route in routes() if not route.scope} == FREE


@pytest.mark.parametrize("role", ROLE_SCOPES)
async def test_a_role_may_call_exactly_its_operations(asking: Asking, role: str) -> None:
    answers = {f"{route.method} {route.path}": (route, await ask(asking[role], route)) for route in guarded(role)}
    unread = {name: answer.body for name, (_, answer) in answers.items() if answer.status in UNREAD}
    assert unread == {}, "give it an example, or a body here"
    words = (b":scope-missing", b'"insufficient_scope"')  # in problems, and in OAuth errors
    missing = {name for name, (_, answer) in answers.items() if any(word in answer.body for word in words)}
    assert missing == {name for name, (route, _) in answers.items() if not may(role, route)}


async def test_a_refused_role_learns_only_the_missing_scope(asking: Asking) -> None:
    refused = await asking["member"].get(f"/v1/users/{uuid4()}")
    assert set(refused.json) == {"type", "title", "status", "detail", "scope"}
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert 'scope="users.read"' in refused.headers["WWW-Authenticate"]


async def test_members_see_and_revoke_only_their_own_tokens(admin: Caller) -> None:
    ada, eve = await person(admin), await person(admin)
    mine, hers = [[await each.asks().post("/v1/login") for _ in range(2)] for each in (ada, eve)]
    own = admin.with_token(mine[0].json["issued"]["secret"])
    ids = [answer.json["issued"]["token"]["id"] for answer in mine]
    assert [token["id"] for token in (await own.get("/v1/tokens")).json["items"]] == ids
    foreign = hers[0].json["issued"]["token"]
    for tail in ("", "/events", "?as_of=1"):
        assert (await own.get(f"/v1/tokens/{ids[1]}{tail}")).status == 200
        for ref in (foreign["id"], foreign["number"]):
            assert (await own.get(f"/v1/tokens/{ref}{tail}")).problem == "not-found"
    for verb, body in (("clone", {}), ("rotate", {"grace": "0s"}), ("revoke", {"reason": "x"}), ("renew", {})):
        assert (await own.post(f"/v1/tokens/{foreign['id']}/{verb}", body)).problem == "not-found"
    for query in ({"owner_id": eve.id}, {"owner_type": "service"}):
        assert (await own.get("/v1/tokens", **query)).problem == "scope-missing"
    assert (await own.post(f"/v1/tokens/{ids[1]}/revoke", {"reason": "done"})).status == 200
    assert (await admin.get(f"/v1/tokens/{foreign['id']}")).json["status"] == "active"


async def test_a_child_of_a_members_token_may_do_no_more_than_the_member(admin: Caller) -> None:
    ada, eve = await person(admin), await person(admin)
    asks = ada.asks()
    for owner in ({"type": "user", "id": eve.id}, {"type": "service", "id": "x"}, {"type": "user", "id": str(uuid4())}):
        assert (await asks.post("/v1/tokens", {"name": "x", "owner": owner})).problem == "beyond-caller"
    child = (await asks.post("/v1/tokens", {"name": "x", "scopes": ["own.read"], "lifetime": "1h"})).json
    assert child["token"]["owner"] == {"type": "user", "id": ada.id}
    for scope in ("tokens.read", "own.*", "all"):
        wider = await admin.with_token(child["secret"]).post("/v1/tokens", {"name": "y", "scopes": [scope]})
        assert wider.problem in ("scope-missing", "beyond-caller")
    for each in (ada, eve):
        await admin.patch(f"/v1/users/{each.id}", {"scopes": ["tokens.create"]})
    lead = await admin.holder("tokens.create", "own.*", owner={"type": "user", "id": ada.id})
    for_eve = {"name": "x", "owner": {"type": "user", "id": eve.id}}
    assert (await lead.post("/v1/tokens", {**for_eve, "scopes": ["own.read"]})).problem == "beyond-caller"
    assert (await lead.post("/v1/tokens", {**for_eve, "scopes": ["tokens.create"]})).status == 201


async def test_members_get_alerts_only_for_their_own_tokens(admin: Caller, api_settings: Settings) -> None:
    ada, eve = await person(admin), await person(admin)
    account = UUID((await admin.get("/v1/account")).json["id"])
    tokens = []
    async with Door(api_settings.database_url) as door:
        for each in (ada, eve):
            owner = {"type": "user", "id": each.id}
            token = (await admin.issue(owner=owner, scopes=["own.read"], lifetime="1us"))["token"]["id"]
            await door.execute(Sweep(account=account, id=UUID(token), by=SYSTEM))
            tokens.append(token)
    assert [alert["token"]["id"] for alert in (await ada.asks().get("/v1/alerts")).json["items"]] == tokens[:1]
    everybodys = {alert["token"]["id"] for alert in (await admin.get("/v1/alerts", limit="200")).json["items"]}
    assert set(tokens) <= everybodys
