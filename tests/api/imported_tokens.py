"""Imported tokens and their state."""

import hashlib
import secrets
from typing import Any

from api.service import Caller


def plain(prefix: str = "ghp_") -> str:
    return prefix + secrets.token_hex(20)


def digest(text: str, algorithm: str = "sha256") -> dict[str, str]:
    return {"algorithm": algorithm, "value": hashlib.new(algorithm, text.encode()).hexdigest()}


def item(**fields: Any) -> dict[str, Any]:
    return {"name": "moved", "owner": {"type": "service", "id": "elsewhere"}, "scopes": ["invoices.read"], **fields}


async def imported(caller: Caller, *items: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    answer = await caller.post("/v1/tokens/import", {"tokens": items, **more})
    assert answer.status == 200, answer.body
    results: list[dict[str, Any]] = answer.json["results"]
    assert len(results) == len(items)
    return results


async def one(caller: Caller, **fields: Any) -> Any:
    (result,) = await imported(caller, item(**fields))
    assert result["status"] == "imported", result
    return result["token"]


def why(result: dict[str, Any]) -> str:
    assert result["status"] == "refused"
    return str(result["problem"]["type"]).rpartition(":")[2]


async def active(admin: Caller, text: str) -> bool:
    return bool((await admin.form("/v1/introspect", token=text)).json["active"])
