"""Whatever fails behind a proxy, no request passes."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession

from api.service import served, settings_for
from counterfoil.core.secret import mint
from counterfoil_api.application import make_app
from proxies.application import Application
from proxies.conftest import Api, Front, port_of
from proxies.running import COMMANDS, LEDGER_HOST, Context, certify, free_port, running

TOKEN = {"Authorization": f"Bearer {mint('service').plain}"}


@pytest.mark.parametrize("name", COMMANDS)
async def test_no_request_passes_without_the_database(
    name: str, context: Context, application: Application, tmp_path: Path
) -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:1/nowhere")
    tls = ssl.create_default_context(cafile=certify(tmp_path))
    before = len(application.arrived)
    async with served(make_app(settings)) as url, ClientSession() as session:
        with running(name, replace(context, api_port=port_of(url), directory=tmp_path)) as proxy:
            front = Front(proxy, application, Api(settings, url), session, tls)
            await front.ready()
            answer = await front.ask("GET", "/", TOKEN)
    assert (answer.status, answer.headers["Retry-After"]) == (403, "1")
    assert len(application.arrived) == before


@pytest.mark.parametrize("name", COMMANDS)
async def test_no_request_passes_without_counterfoil(
    name: str, api: Api, context: Context, application: Application, tmp_path: Path
) -> None:
    status = 403 if name == "envoy" else 500
    tls = ssl.create_default_context(cafile=certify(tmp_path))
    before = len(application.arrived)
    async with ClientSession() as session:
        with running(name, replace(context, api_port=free_port(), directory=tmp_path)) as proxy:
            front = Front(proxy, application, api, session, tls)
            await front.ready(answering=status)
            assert (await front.ask("GET", "/", TOKEN)).status == status
    assert len(application.arrived) == before


async def test_nginx_also_serves_the_ledger_without_the_operators_paths(
    context: Context, application: Application, api: Api, tmp_path: Path
) -> None:
    tls = ssl.create_default_context(cafile=certify(tmp_path))
    host = {"Host": LEDGER_HOST}
    async with ClientSession() as session:
        with running("nginx", replace(context, directory=tmp_path)) as proxy:
            front = Front(proxy, application, api, session, tls)
            await front.ready()
            assert (await front.ask("GET", "/healthz", host)).status == 200
            assert (await front.ask("GET", "/v1/tokens", host)).status == 401
            for hidden in ("/metrics", "/v1/forward", "/v1/forward/x/-/", "/v1//forward", "/v1/%66orward?scope=x"):
                assert (await front.ask("GET", hidden, host)).status == 404, hidden
