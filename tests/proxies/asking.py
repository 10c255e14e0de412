"""Tokens and their headers."""

from typing import Any

from api.service import Caller
from proxies.running import SCOPE


async def issued(admin: Caller, *scopes: str, **fields: object) -> Any:
    return await admin.issue(scopes=scopes or (SCOPE,), owner={"type": "service", "id": "billing"}, **fields)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}
