"""Rotated tokens, uses of both of their secrets, and what the service shows of them."""

import asyncio
from typing import Any

from api.service import Caller

HERE, THERE, SIXTH = "203.0.113.7", "198.51.100.20", "2001:db8::1:2"
NETS = {HERE: "203.0.113.0/24", THERE: "198.51.100.0/24", SIXTH: "2001:db8::/64"}


async def rotated(admin: Caller, grace: str = "10h", **fields: object) -> tuple[str, Caller, Caller]:
    """Issue and rotate a token; return its path, and callers with its previous and its new secret."""
    issued = await admin.issue(scopes=["tokens.introspect"], **fields)
    path = f"/v1/tokens/{issued['token']['id']}"
    turned = (await admin.post(f"{path}/rotate", {"grace": grace})).json
    return path, admin.with_token(issued["secret"]), admin.with_token(turned["secret"])


async def use(caller: Caller, address: str = HERE, times: int = 1) -> None:
    for _ in range(times):
        answer = await caller.ask("GET", "/v1/tokens/self", headers={"X-Forwarded-For": address})
        assert answer.status == 200


async def rotation(admin: Caller, path: str, *, previous: int = 0, new: bool = False) -> Any:
    """The rotation, once so many uses of the previous secret, and one of the new, are written."""
    async with asyncio.timeout(20):
        while True:
            found = (await admin.get(f"{path}/rotation")).json
            if found["previous"]["uses"] >= previous and found["present"]["used"] >= new:
                return found
            await asyncio.sleep(0.05)
