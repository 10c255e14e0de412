"""The real API and an application behind real proxies, on TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientSession, web

from api.service import Answer, Caller, founded, served, settings_for
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_api.http.addresses import CLIENT
from counterfoil_api.native.forward_auth.demand import PATH
from counterfoil_dev.postgres import OWNER, Postgres
from proxies.application import Application, make_application
from proxies.running import COMMANDS, HOST, Context, Proxy, certify, running


@dataclass(slots=True)
class Api:
    """The API, and the addresses from which proxies called it."""

    settings: Settings
    url: str
    clients: list[str] = field(default_factory=list)

    async def note(self, request: web.Request, _: web.StreamResponse) -> None:
        if request.path.startswith(PATH):
            self.clients.append(str(request[CLIENT]))


@dataclass(frozen=True, slots=True)
class Front:
    """A proxy and the servers behind it, from a client's view."""

    proxy: Proxy
    application: Application
    api: Api
    session: ClientSession
    tls: ssl.SSLContext

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, *, body: object = None
    ) -> Answer:
        url = f"https://127.0.0.1:{self.proxy.port}{target}"
        sent = {"Host": HOST, **(headers or {})}
        async with self.session.request(
            method, url, headers=sent, data=body, ssl=self.tls, server_hostname=HOST, allow_redirects=False
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def ready(self, *, answering: int = 401) -> None:
        """Return when it refuses a request without credentials; some proxies listen before that."""
        async with asyncio.timeout(30):
            while not await self._answers(answering):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.02)

    async def _answers(self, status: int) -> bool:
        try:
            return (await self.ask("GET", "/")).status == status
        except ClientError:
            return False


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


@pytest_asyncio.fixture(scope="session")
async def api(postgres_server: Postgres, template: str) -> AsyncIterator[Api]:
    postgres_server.run(f"create database proxied owner {OWNER} template {template};")
    url = postgres_server.database("proxied").app_url
    api = Api(settings_for(url, TRUSTED_PROXIES="127.0.0.0/8"), "")
    app = make_app(api.settings)
    app.on_response_prepare.append(api.note)
    async with served(app) as api.url:
        yield api
    postgres_server.run("drop database if exists proxied with (force);")


@pytest_asyncio.fixture(scope="session")
async def ours(api: Api, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return await founded(api.settings, "ours", tmp_path_factory.mktemp("ours"))


@pytest_asyncio.fixture(scope="session")
async def theirs(api: Api, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return await founded(api.settings, "theirs", tmp_path_factory.mktemp("theirs"))


@pytest_asyncio.fixture(scope="session")
async def application() -> AsyncIterator[Application]:
    application = Application()
    async with served(make_application(application)) as application.url:
        yield application


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxies")


@pytest.fixture(scope="session")
def tls(directory: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certify(directory))


@pytest.fixture(scope="session")
def context(api: Api, application: Application, ours: dict[str, str], directory: Path, tls: ssl.SSLContext) -> Context:
    assert tls.get_ca_certs()  # the certificate exists
    return Context(port_of(api.url), port_of(application.url), ours["account"], directory)


@pytest_asyncio.fixture(scope="session", params=tuple(COMMANDS))
async def front(
    request: pytest.FixtureRequest, context: Context, application: Application, api: Api, tls: ssl.SSLContext
) -> AsyncIterator[Front]:
    async with ClientSession() as session:
        with running(request.param, context) as proxy:
            front = Front(proxy, application, api, session, tls)
            await front.ready()
            yield front


@pytest_asyncio.fixture(scope="session")
async def to_api(api: Api) -> AsyncIterator[ClientSession]:
    async with ClientSession(api.url) as opened:
        yield opened


@pytest.fixture
def admin(to_api: ClientSession, ours: dict[str, str]) -> Caller:
    """Our administrator's token, sent directly to the API."""
    return Caller(to_api, f"Bearer {ours['admin_token']}")


@pytest.fixture
def stranger(to_api: ClientSession, theirs: dict[str, str]) -> Caller:
    """The administrator of another account."""
    return Caller(to_api, f"Bearer {theirs['admin_token']}")
