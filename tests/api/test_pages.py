"""An API of pages: sessions as credentials, refusals as HTML, and its own security headers."""

from collections.abc import AsyncIterator, Iterable, Mapping
from html import escape
from types import MappingProxyType

import pytest
from aiohttp import ClientSession, web

from api.sample_app import Shelf
from api.service import served
from counterfoil.core.refusals import NotFound, Refusal
from counterfoil_api.auth.credentials import PresentedCredentials, presented_by
from counterfoil_api.http.cross_site import is_cross_site
from counterfoil_api.http.errors import CredentialsMissing, CrossSite
from counterfoil_api.http.problems import KINDS, kind_of, refusal_response
from counterfoil_api.http.requests import outer_layer
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.conventions import Conventions, error_format_under, first_of
from counterfoil_api.operations.mounting import Mount
from counterfoil_api.operations.openapi import document
from counterfoil_api.operations.reading import Caller
from counterfoil_api.operations.replies import Page
from counterfoil_api.operations.services import Services

POLICY = "default-src 'self'; frame-ancestors 'none'"


class HtmlErrors:
    """Refusals as pages."""

    media_type = "text/html"
    shape: type = str
    headers: Mapping[str, str] = MappingProxyType({"Content-Security-Policy": POLICY})

    def response(self, refusal: Refusal) -> web.Response:
        response = refusal_response(refusal, "", status=kind_of(refusal).status, headers=self.headers)
        response.text = f"<h1>{escape(refusal.detail)}</h1>"
        response.content_type = self.media_type
        return response

    def examples(self, kinds: Iterable[type[Refusal]]) -> Mapping[int, Mapping[str, object]]:
        found: dict[int, dict[str, object]] = {}
        for each in kinds:
            found.setdefault(KINDS[each].status, {})[KINDS[each].name] = f"<h1>{escape(each().detail)}</h1>"
        return found


def session(request: web.Request, _: bytes) -> str:
    if "session" not in request.cookies:
        raise CredentialsMissing("Log in first.")
    if request.method != "GET" and is_cross_site(request.headers):
        raise CrossSite
    return request.cookies["session"]


dashboard = Api(
    "dashboard",
    Conventions(
        prefix="/dashboard",
        error_format=HtmlErrors(),
        credentials=first_of(session, lambda request, _: presented_by(request)),
        schemes={"session": {"type": "apiKey", "in": "cookie", "name": "session"}},
    ),
)


@dashboard.get("/tokens/{name}", refusals=(NotFound,))
async def show(_: Shelf, caller: Caller[str], *, name: str) -> Page:
    """Show a token."""
    if name == "missing":
        raise NotFound
    return Page(f"<p>{name} for {caller}</p>".encode(), "text/html", {"Content-Security-Policy": POLICY})


@dashboard.post("/logout")
async def leave(_: Shelf, caller: Caller[str]) -> Page:
    """Log out."""
    return Page(caller.encode(), "text/html")


async def believe(presented: str | PresentedCredentials) -> str:
    return presented if isinstance(presented, str) else "somebody with a token"


@pytest.fixture
async def pages(shelf: Shelf) -> AsyncIterator[ClientSession]:
    layer = outer_layer(lambda *_: None, error_format_of=error_format_under([dashboard.conventions]))
    app = web.Application(middlewares=[layer])
    Mount(Services.of(shelf), believe).onto(app, dashboard.routes)
    async with served(app) as url, ClientSession(url) as opened:
        yield opened


async def test_a_session_and_a_token_are_both_accepted(pages: ClientSession) -> None:
    answer = await pages.get("/dashboard/tokens/a", cookies={"session": "ada"})
    assert (answer.status, await answer.text()) == (200, "<p>a for ada</p>")
    answer = await pages.get("/dashboard/tokens/a", headers={"Authorization": "Bearer secret"})
    assert await answer.text() == "<p>a for somebody with a token</p>"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/tokens/a", 401), ("GET", "/tokens/missing", 404), ("GET", "/nothing", 404), ("PUT", "/tokens/a", 405)],
)
async def test_every_refusal_is_a_page(pages: ClientSession, method: str, path: str, status: int) -> None:
    cookies = {} if status == 401 else {"session": "ada"}
    async with pages.request(method, f"/dashboard{path}", cookies=cookies) as answer:
        assert (answer.status, answer.content_type) == (status, "text/html")
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await answer.text()).startswith("<h1>")


async def test_a_response_keeps_its_own_security_headers(pages: ClientSession) -> None:
    own = await pages.get("/dashboard/tokens/a", cookies={"session": "ada"})
    assert own.headers.getall("Content-Security-Policy") == [POLICY]
    other = await pages.post("/dashboard/logout", cookies={"session": "ada"})
    assert other.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_a_page_of_another_site_cannot_use_a_session_for_changes(pages: ClientSession) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    answer = await pages.post("/dashboard/logout", cookies={"session": "ada"}, headers=foreign)
    assert answer.status == 403


def test_pages_are_described_with_their_credentials_and_refusals() -> None:
    described = document(dashboard.routes, version="1", url="https://tokens.example.org")
    shown = described["paths"]["/dashboard/tokens/{name}"]["get"]
    assert shown["security"] == [{"session": []}]
    assert "text/html" in shown["responses"]["404"]["content"]
