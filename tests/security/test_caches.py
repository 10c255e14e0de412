"""G, K. No cache contains accepted tokens, and only a header is a credential."""

import ast
from pathlib import Path

from aiohttp import ClientSession

import counterfoil
import counterfoil_api
from api.proxy import Asked, bearer
from api.service import Caller
from counterfoil_api.application import routes


def imported(path: Path) -> set[str]:
    """The packages that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {
        name.partition(".")[0]
        for name in plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    }


def test_modules_that_verify_do_not_import_redis() -> None:
    modules = [path for package in (counterfoil, counterfoil_api) for path in Path(package.__path__[0]).rglob("*.py")]
    assert len(modules) > 50
    # Except the counters, which can only refuse: `over` returns the result of its check.
    assert [path.name for path in modules if imported(path) & {"redis", "dramatiq"}] == ["counters.py"]


async def test_only_public_documents_may_be_cached(admin: Caller) -> None:
    public = {"/", "/openapi.json", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server"}
    assert {route.path for route in routes() if route.cache != "no-store"} == public
    for path in ("/v1/tokens", "/v1/tokens/self", "/v1/tokens/nobody", "/v1/alerts", "/metrics", "/nowhere"):
        assert (await admin.get(path)).headers["Cache-Control"] == "no-store", path


async def test_proxies_may_not_cache_so_that_a_revocation_takes_effect_at_once(
    session: ClientSession, admin: Caller, ours: dict[str, str]
) -> None:
    made = await admin.issue(scopes=["invoices.read"])
    proxy, sent = Asked(session, ours["account"]), bearer(made["secret"])
    passed = [await proxy.about(sent), await proxy.about(sent, method="OPTIONS")]
    await admin.post(f"/v1/tokens/{made['token']['id']}/revoke", {"reason": "for the test"})
    stopped = [await proxy.about(sent), await proxy.about({}), await proxy.about(sent, target="/v1/forward")]
    assert [answer.status for answer in (*passed, *stopped)] == [200, 200, 401, 401, 403]
    assert {answer.headers["Cache-Control"] for answer in (*passed, *stopped)} == {"no-store"}
    # The proxy configurations that we ship cache nothing either.
    proxies = Path(counterfoil_api.__path__[0]).parent / "proxies"
    configured = [path for path in proxies.iterdir() if path.suffix != ".md"]
    assert [path.name for path in configured if "cache" in path.read_text().replace("cache-control", "")] == []


async def test_a_cookie_is_no_credential(admin: Caller) -> None:
    plain = (await admin.issue(scopes=["all"]))["secret"]
    nobody = Caller(admin.session, "")
    for cookie in (f"Authorization={plain}", f"token={plain}", f"session={plain}", plain):
        assert (await nobody.get("/v1/tokens/self")).status == 401
        assert (await nobody.ask("GET", "/v1/tokens/self", headers={"Cookie": cookie})).status == 401
