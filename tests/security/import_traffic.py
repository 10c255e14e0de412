"""Imports of tokens by secret and by digest, valid and invalid."""

import hashlib
from secrets import token_urlsafe
from typing import Any

from security.traffic import Caller

PATH = "/v1/tokens/import"


def _item(**fields: Any) -> dict[str, Any]:
    return {"name": "moved", "owner": {"type": "service", "id": "old"}, **fields}


def _digest(text: str) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(text.encode()).hexdigest()}


async def move_in(caller: Caller) -> None:
    """Import, repeat, and send invalid imports; then use the imported tokens and revoke them."""
    shown, digested, refused = (caller.know("an imported secret", f"old_{token_urlsafe(32)}") for _ in range(3))
    items = [_item(secret=shown), _item(digest=_digest(digested))]
    for rehearsal in (True, False, False):
        assert await caller.said("POST", PATH, {"tokens": items, "dry_run": rehearsal}) == 200
    assert await caller.said("POST", PATH, {"tokens": [_item(secret=shown, name="another")]}) == 200
    assert await caller.said("POST", PATH, {"tokens": [_item(secret=refused, digest=_digest(refused))]}) == 200
    assert await caller.said("POST", PATH, {"tokens": [_item(secret=f"{refused} {refused}")]}) == 200
    assert await caller.said("POST", PATH, {"tokens": [_item(secert=refused)]}) == 422
    assert await caller.said("POST", PATH, {"tokens": [_item(**{refused: refused})]}) == 422
    for secret, status in ((shown, 200), (digested, 200), (refused, 401)):
        assert await caller.said("GET", "/v1/tokens/self", Authorization=f"Bearer {secret}") == status
    ended = {"reason": "moved on"}
    assert await caller.said("POST", "/v1/tokens/self/revoke", ended, Authorization=f"Bearer {shown}") == 200
    assert await caller.said("GET", "/v1/tokens/self", Authorization=f"Bearer {shown}") == 401
