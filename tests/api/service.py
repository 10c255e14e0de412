"""The whole service for tests, on a real Postgres, with two accounts that must be isolated from each other."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import ClientSession, web
from multidict import CIMultiDictProxy

from counterfoil.core.duration import FOREVER
from counterfoil.settings import Settings
from counterfoil.uses.found_account import found
from counterfoil_api.http.server import Runner
from listening import listening
from postgres.sealing import sealed_beside

PROBLEM = "urn:counterfoil:problem:"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def problem(self) -> str:
        """The last part of the problem's type."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return str(self.json["type"]).removeprefix(PROBLEM)


@dataclass(slots=True)
class Caller:
    """A caller with credentials, and the service that it calls."""

    session: ClientSession
    credentials: str
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **query: object) -> Answer:
        tail = f"?{urlencode(query)}" if query else ""
        return await self.ask("GET", path + tail)

    async def post(self, path: str, body: object = None, /, **headers: str) -> Answer:
        return await self.ask("POST", path, msgspec.json.encode(body or {}), headers=headers)

    async def patch(self, path: str, body: object, /, **headers: str) -> Answer:
        return await self.ask("PATCH", path, msgspec.json.encode(body), headers=headers)

    async def put(self, path: str, body: object, /, **headers: str) -> Answer:
        return await self.ask("PUT", path, msgspec.json.encode(body), headers=headers)

    async def delete(self, path: str, /, **headers: str) -> Answer:
        return await self.ask("DELETE", path, headers=headers)

    async def form(self, path: str, **fields: str) -> Answer:
        media_type = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.ask("POST", path, urlencode(fields).encode(), headers=media_type)

    async def ask(
        self, method: str, path: str, body: bytes | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        sent = {"Content-Type": "application/json", **self.headers}
        if self.credentials:
            sent["Authorization"] = self.credentials
        sent |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        async with self.session.request(method, path, data=body, headers=sent) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def issue(self, **fields: object) -> Any:
        """Issue a token and return the answer."""
        answer = await self.post("/v1/tokens", {"name": "a token", **fields})
        assert answer.status == 201, answer.body
        return answer.json

    def with_token(self, plain: str) -> "Caller":
        """Return a caller with this secret or bearer."""
        return Caller(self.session, f"Bearer {plain}")

    async def holder(self, *scopes: str, **fields: object) -> "Caller":
        """Issue a token with these scopes and return a caller with it."""
        return self.with_token((await self.issue(scopes=scopes, **fields))["secret"])


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def settings_for(database_url: str, **more: str) -> Settings:
    return Settings.from_environment(
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": "redis://127.0.0.1/0",
            "PUBLIC_URL": "https://tokens.example.org",
            "PEPPERS": f"1:{base64.b64encode(b'p' * 32).decode()}",
            "KEY_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
            "GUESS_LIMIT": "none",  # most tests present wrong credentials often, from one address
            "LEAK_REPORT_LIMIT": "none",
            "SUBSCRIPTIONS_PER_ACCOUNT": "10000",
            **more,
        },
        command="api",
    )


async def founded(settings: Settings, name: str, directory: Path, *, examples: bool = False) -> dict[str, str]:
    """Create an account and return its credentials, with numbers as text."""
    file, email = directory / "credentials.json", f"admin@{name}.example.org"
    assert await found(settings, name=name, email=email, file=file, lifetime=FOREVER, examples=examples)
    return {key: str(value) for key, value in msgspec.json.decode(file.read_bytes()).items()}


@asynccontextmanager
async def served(app: web.Application, *, sealed: str | None = None) -> AsyncIterator[str]:
    """Serve an application and yield its address; if `sealed` is its database's address, also run a sealer."""
    async with sealed_beside(sealed) if sealed else nullcontext(), listening(Runner(app)) as (host, port):
        yield f"http://{host}:{port}"
