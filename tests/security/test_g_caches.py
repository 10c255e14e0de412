"""G, K. Nothing remembers that a token was good, and nothing but a header is a credential."""

import ast
from pathlib import Path

import counterfoil
import counterfoil_api
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


def test_g28_nothing_that_verifies_knows_redis() -> None:
    modules = [path for package in (counterfoil, counterfoil_api) for path in Path(package.__path__[0]).rglob("*.py")]
    assert len(modules) > 50
    assert [path.name for path in modules if imported(path) & {"redis", "dramatiq"}] == []


async def test_g29_only_public_documents_may_be_cached(admin: Caller) -> None:
    public = {"/openapi.json", "/.well-known/jwks.json"}
    assert {route.path for route in routes() if route.cache != "no-store"} == public
    for path in ("/v1/tokens", "/v1/tokens/self", "/v1/tokens/nobody", "/v1/alerts", "/metrics", "/nowhere"):
        assert (await admin.get(path)).headers["Cache-Control"] == "no-store", path


async def test_k45_a_cookie_opens_nothing(admin: Caller) -> None:
    plain = (await admin.issue(scopes=["all"]))["secret"]
    nobody = Caller(admin.session, "")
    for cookie in (f"Authorization={plain}", f"token={plain}", f"session={plain}", plain):
        assert (await nobody.get("/v1/tokens/self")).status == 401
        assert (await nobody.ask("GET", "/v1/tokens/self", headers={"Cookie": cookie})).status == 401
