"""All kinds of traffic with secrets: valid, repeated, wrong, and in places where no secret belongs."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from security.scanner import Scanner

FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class Caller:
    """A caller with an administrator's credentials that records every secret sent or shown, and every answer."""

    session: ClientSession
    credentials: dict[str, str]
    scanner: Scanner
    silent: list[bytes] = field(default_factory=list)
    """Answers in which no secret may stand."""
    known: int = 0

    def know(self, what: str, secret: str) -> str:
        self.known += 1
        self.scanner.know(f"{what} #{self.known}", secret)
        return secret

    @property
    def admin(self) -> str:
        return f"Bearer {self.credentials['admin_token']}"

    def key(self) -> str:
        return self.know("an Idempotency-Key", token_urlsafe(32))

    async def ask(self, method: str, path: str, body: object = None, /, **headers: str) -> tuple[int, bytes]:
        sent = {"Authorization": self.admin, "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in sent.items() if value}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        async with self.session.request(method, URL(self.credentials["url"] + path), data=data, headers=sent) as answer:
            return answer.status, await answer.read() + repr(answer.headers).encode()

    async def said(self, method: str, path: str, body: object = None, /, **headers: str) -> int:
        """Send a request whose answer contains no secret; return the status."""
        status, shown = await self.ask(method, path, body, **headers)
        self.silent.append(shown)
        return status

    async def shown(self, path: str, body: object, /, **headers: str) -> Any:
        """Send a request whose answer shows a secret this once."""
        status, answer = await self.ask("POST", path, body, **headers)
        assert status in (200, 201), answer
        document = json.JSONDecoder().raw_decode(answer.decode())[0]
        for what in ("secret", "access_token"):
            if what in document:
                self.know(what, document[what])
        return document

    async def raw(self, request: bytes) -> None:
        """Send bytes that may be no valid request."""
        url = URL(self.credentials["url"])
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(request)
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            self.silent.append(await asyncio.wait_for(reader.read(), 0.2))
        writer.close()


@asynccontextmanager
async def calling(credentials: dict[str, str], scanner: Scanner) -> AsyncIterator[Caller]:
    async with ClientSession(timeout=ClientTimeout(20)) as session:
        caller = Caller(session, credentials, scanner)
        for what in credentials.keys() & {"admin_token", "admin_password", "member_token", "member_password"}:
            caller.know(what, credentials[what])
        yield caller


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def issue(caller: Caller) -> tuple[str, str]:
    """Issue, repeat and show secrets in every way; return a token's id and its secret."""
    body = {"name": "nightly", "scopes": ["tokens.*", "mail.send"], "lifetime": "90d"}
    made = await caller.shown("/v1/tokens", body)
    path, key = f"/v1/tokens/{made['token']['id']}", caller.key()
    kept = await caller.shown("/v1/tokens", body, Idempotency_Key=key)
    assert (await caller.shown("/v1/tokens", body, Idempotency_Key=key))["secret"] == kept["secret"]
    assert await caller.said("POST", "/v1/tokens", {**body, "name": "x"}, Idempotency_Key=key) == 422
    assert await caller.said("POST", "/v1/tokens", body, Idempotency_Key=caller.key()[:21]) == 422
    await caller.shown(f"{path}/clone", {})
    for again in (caller.key(), caller.key()):
        await caller.shown(f"{path}/clone", {"name": "another"}, Idempotency_Key=again)
        await caller.shown(f"{path}/clone", {"name": "another"}, Idempotency_Key=again)
    await caller.shown(f"{path}/rotate", {"grace": "24h"})
    key = caller.key()
    rotated = await caller.shown(f"{path}/rotate", {"grace": "0s"}, Idempotency_Key=key)
    await caller.shown(f"{path}/rotate", {"grace": "0s"}, Idempotency_Key=key)
    key, own = caller.key(), f"Bearer {rotated['secret']}"
    itself = await caller.shown("/v1/tokens/self/rotate", {"grace": "0s"}, Idempotency_Key=key, Authorization=own)
    lost = await caller.shown("/v1/tokens/self/rotate", {"grace": "0s"}, Idempotency_Key=key, Authorization=own)
    assert lost["secret"] == itself["secret"]
    return made["token"]["id"], itself["secret"]


async def use(caller: Caller, token_id: str, secret: str) -> list[str]:
    """Exchange, introspect, read and change with secrets, bearers and the password; return the bearers."""
    first = await caller.shown("/v1/exchange", {}, Authorization=f"Bearer {secret}")
    asked = {"audience": ["https://mail.example"], "scopes": ["mail.send"]}
    second = await caller.shown("/v1/exchange", asked, Authorization=basic("", secret))
    bearers = [first["access_token"], second["access_token"]]
    password = basic(caller.credentials["admin_login"], caller.credentials["admin_password"])
    for good in (secret, *bearers):
        form = f"token={good}&token_type_hint={good}".encode()
        assert await caller.said("POST", "/v1/introspect", form, Content_Type=FORM) == 200
    for who in (password, f"Bearer {secret}", f"Bearer {bearers[0]}", basic("", secret)):
        assert await caller.said("GET", f"/v1/tokens/{token_id}", Authorization=who) == 200
    for read in ("/v1/tokens", f"/v1/tokens/{token_id}/events", f"/v1/tokens/{token_id}?as_of=1", "/v1/alerts"):
        assert await caller.said("GET", read) == 200
    changes: dict[str, object] = {"suspend": {"reason": "a look"}, "resume": {}, "renew": {"lifetime": "80d"}}
    for what, body in changes.items():
        assert await caller.said("POST", f"/v1/tokens/{token_id}/{what}", body, Idempotency_Key=caller.key()) == 200
    assert await caller.said("PATCH", f"/v1/tokens/{token_id}", {"name": "b"}, Idempotency_Key=caller.key()) == 200
    return bearers


async def misplace(caller: Caller, secret: str) -> None:
    """Send a secret where none belongs; whatever the answer, it is not kept."""
    password, email = caller.credentials["admin_password"], caller.credentials["admin_login"]
    headers = "Cookie", "Proxy-Authorization", "X-Api-Key", "CF-Access-Client-Secret", "X-Authorization-OTP", "Referer"
    for name in (*headers, "User-Agent", "X-Request-Id", "If-Match", "Idempotency-Key", "X-Forwarded-For"):
        await caller.said("PATCH", "/v1/tokens/self", {"description": f"after {name}"}, **{name: secret})
    for query in ("token", "session", "access_token", "name", "cursor", "owner_id", "as_of", secret):
        assert await caller.said("GET", f"/v1/tokens?{query}={secret}") == 400
        await caller.said("GET", f"/v1/tokens/self?{query}={password}")
    for path in (f"/v1/tokens/{secret}", f"/{secret}", f"/v1/{secret}/events", f"/v1/tokens/{secret}/revoke"):
        await caller.said("GET", path)
        await caller.said("POST", path, {"reason": "x"})
    for who in (f"Digest {secret}", secret, f"Bearer {secret}x", f"Bearer  {password}", basic(email, secret),
                basic(secret, password), f"Basic {secret}", basic("", password)):  # fmt: skip
        assert await caller.said("GET", "/v1/tokens", Authorization=who) == 401
    for field_name in ("name", "description", "lifetime", "expires_at", "scopes", "metadata", "owner", secret):
        for value in (secret, [secret], {secret: secret}, {"type": secret, "id": secret}):
            await caller.said("POST", "/v1/tokens", {"name": "x", field_name: value})
    for broken in (f'{{"name": "{secret}"', f'"{secret}"', f"{secret}", secret * 2_000):
        assert await caller.said("POST", "/v1/tokens", broken.encode()) in (400, 413, 422)
    await caller.said("POST", "/v1/introspect", f"{secret}={secret}".encode(), Content_Type=FORM)
    await caller.said("POST", "/v1/tokens", b"{}", Content_Type=f"text/{secret}")
    for line in (f"{secret} / HTTP/1.1", f"GET {secret} HTTP/1.1", f"GET /{secret} HTTP/9", secret):
        await caller.raw(f"{line}\r\nHost: {secret}\r\n{secret}\r\n\r\n".encode())
    await caller.raw(f"GET /v1/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: {secret}\r\n{secret}: x\r\n\r\n".encode())


async def swap(caller: Caller) -> None:
    """Send the password as the e-mail address; Postgres receives it in a look-up and must keep nothing."""
    swapped = basic(caller.credentials["admin_password"], caller.credentials["admin_login"])
    assert await caller.said("GET", "/v1/tokens", Authorization=swapped) == 401


async def write_down(caller: Caller, token_id: str, secret: str) -> None:
    """Write a secret into text fields; it would be stored for ever, so it is refused."""
    said = f"found {secret} in a repository"
    for body in ({"name": said}, {"description": said}, {"metadata": {"note": said}}, {"metadata": {secret: "x"}},
                 {"scopes": [secret]}, {"scopes": [f"{secret}.*"]}):  # fmt: skip
        assert await caller.said("PATCH", f"/v1/tokens/{token_id}", body) in (403, 422), body
        assert await caller.said("POST", "/v1/tokens", {"name": "x", **body}) in (403, 422), body
    owner = {"type": "service", "id": secret}
    assert await caller.said("POST", "/v1/tokens", {"name": "x", "owner": owner}) == 422
    assert await caller.said("POST", f"/v1/tokens/{token_id}/clone", {"owner": owner}) == 422
    for what in ("suspend", "revoke"):
        assert await caller.said("POST", f"/v1/tokens/{token_id}/{what}", {"reason": said}) == 422
    assert await caller.said("POST", "/v1/exchange", {"audience": said}, Authorization=f"Bearer {secret}") == 422


async def meet_failures(caller: Caller, secret: str, broken: AbstractAsyncContextManager[None]) -> list[int]:
    """Present a secret while the service fails; errors are logged without it. Return the statuses."""
    calls: list[tuple[str, object, dict[str, str]]] = [
        ("/v1/exchange", {"scopes": ["not.held"]}, {"Authorization": f"Bearer {secret}"}),
        ("/v1/exchange", {"scopes": ["not.held"]}, {"Authorization": basic("", secret)}),
        ("/v1/tokens/self/suspend", {}, {"Authorization": f"Bearer {secret}x", "Idempotency_Key": caller.key()}),
        ("/v1/introspect", f"token={secret}".encode(), {"Content_Type": FORM}),
        ("/v1/tokens", {"name": "x", "scopes": ["b c"]}, {"Idempotency_Key": caller.key()}),
    ]
    statuses = []
    async with broken:
        for path, body, headers in calls:
            with contextlib.suppress(ClientError, TimeoutError):
                statuses.append(await caller.said("POST", path, body, **headers))
    return statuses


async def end(caller: Caller, token_id: str, secret: str, bearers: list[str]) -> None:
    """Revoke; later refusals do not record the secret either."""
    assert await caller.said("POST", f"/v1/tokens/{token_id}/revoke", {"reason": "the end"}) == 200
    for dead in (secret, *bearers):
        assert await caller.said("GET", "/v1/tokens/self", Authorization=f"Bearer {dead}") == 401
    assert await caller.said("POST", "/v1/exchange", {}, Authorization=basic("", secret)) == 401
