"""Security headers of every answer, and who may read the metrics."""

import base64

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from api.sample_app import Shelf
from api.service import Caller, basic, served
from api.slow_clients import a_server, answer_of, connected
from counterfoil.settings import Settings
from counterfoil_api.application import make_app

HEADERS = {
    "server": "counterfoil",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        b"DELETE /page HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
        b"POST /things HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 10_000,
        b"GET / HTTP/1.1\r\n",
    ],
)
async def test_every_answer_has_security_headers_and_names_no_software(shelf: Shelf, sent: bytes) -> None:
    async with a_server(shelf, head_seconds=0.1) as where, connected(where) as (reader, writer):
        writer.write(sent)
        _, headers, _ = await answer_of(reader)
    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    assert headers["x-request-id"]
    assert "strict-transport-security" not in headers


async def test_hsts_is_sent_where_clients_use_https(session: ClientSession) -> None:
    for path in ("/healthz", "/nowhere", "/v1/tokens"):
        async with session.get(path) as answer:
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


async def test_metrics_need_the_operators_token(api_settings: Settings, admin: Caller) -> None:
    metrics_token = "0123456789.abc.def~ghi+/="
    settings = replace(api_settings, metrics_token=metrics_token)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        for credentials, status in (
            (f"Bearer {metrics_token}", 200),
            ("Basic " + base64.b64encode(f":{metrics_token}".encode()).decode(), 200),
            (None, 401),
            (f"Bearer {metrics_token[:-2]}", 401),
            (admin.credentials, 401),
            (basic("admin@ours.example.org", metrics_token), 401),
            ("Bearer a b", 401),
            ("Digest x", 401),
        ):
            async with session.get("/metrics", headers={"Authorization": credentials} if credentials else {}) as answer:
                assert answer.status == status, credentials
                assert answer.headers["Cache-Control"] == "no-store"
                assert ("counterfoil_" in await answer.text()) is (status == 200)
        async with session.get("/healthz") as answer:
            assert answer.status == 200
