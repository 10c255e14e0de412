"""A client of Cloudflare's API for tests."""

import re
from dataclasses import dataclass
from typing import Any

from api.service import Answer, Caller
from dialects.accounts import Account

BASE = "/cloudflare/client/v4"
CREATED = ["client_id", "client_secret", "created_at", "duration", "enabled", "id", "name", "updated_at"]
SHOWN = ["client_id", "created_at", "duration", "enabled", "expires_at", "id", "last_seen_at", "name", "updated_at"]
SECRET = re.compile(r"[0-9a-f]{64}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class Access:
    """The service tokens of one account or zone."""

    caller: Caller
    tokens: str

    async def made(self, name: str = "CI/CD token", **fields: object) -> Any:
        answer = await self.caller.post(self.tokens, {"name": name, **fields})
        assert answer.status == 201, answer.body
        return good(answer)

    async def shown(self, token: dict[str, Any]) -> Any:
        return good(await self.caller.get(f"{self.tokens}/{token['id']}"))

    async def listed(self, **query: object) -> Any:
        return good(await self.caller.get(self.tokens, **query))

    async def put(self, token: dict[str, Any], **fields: object) -> Answer:
        return await self.caller.put(f"{self.tokens}/{token['id']}", fields)

    async def changed(self, token: dict[str, Any], **fields: object) -> Any:
        return good(await self.put(token, **fields))

    async def done(self, token: dict[str, Any], what: str, body: object = None, /, **headers: str) -> Any:
        return good(await self.caller.post(f"{self.tokens}/{token['id']}/{what}", body, **headers))

    async def accepts(self, token: dict[str, Any], secret: str) -> bool:
        """Whether an edge would accept the pair."""
        pair = {"CF-Access-Client-Id": token["client_id"], "CF-Access-Client-Secret": secret}
        return bool(good(await self.caller.post(f"{self.tokens}/verify", None, **pair))["active"])


def good(answer: Answer) -> Any:
    """The result in a successful answer."""
    assert answer.status in (200, 201), answer.body
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json | {"success": True, "errors": [], "messages": []} == answer.json
    return answer.json["result"]


def refused(answer: Answer, status: int, code: int, message: str = "", *, pointer: str | None = None) -> None:
    """The answer is a refusal in Cloudflare's form."""
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.json) == ["errors", "messages", "result", "success"]
    assert answer.json | {"messages": [], "result": {}, "success": False} == answer.json
    [error] = answer.json["errors"]
    assert (error["code"], error["documentation_url"]) == (code, "/cloudflare/openapi.json")
    assert message in error["message"]
    assert error.get("source") == (None if pointer is None else {"pointer": pointer})


def of_account(caller: Caller, account: Account) -> Access:
    return Access(caller, f"{BASE}/accounts/{account.account.hex}/access/service_tokens")


def of_zone(caller: Caller, zone_id: str) -> Access:
    return Access(caller, f"{BASE}/zones/{zone_id}/access/service_tokens")
