"""Losant's lists compared with a reference: each page equals the reference and repeats the query."""

import random
from fnmatch import fnmatchcase
from typing import Any

import pytest_asyncio

from api.service import Caller
from dialects.test_losant import made

APPLICATION = "5e" * 12
TOKENS = f"/losant/applications/{APPLICATION}/tokens"
NAMES = ("ab", "abc", "b", "ba", "c%", "c_", "caf\u00e9", "ab")
NEVER = "9999"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tokens(web_session: Any, here: Any) -> list[Any]:
    """Eight tokens of one application, oldest first; some are inactive, some never expire."""
    native = Caller(web_session, f"Bearer {here.admin_token}")
    first = await native.issue(owner={"type": "application", "id": APPLICATION}, name="gone")
    for place, name in enumerate(NAMES):
        expiry = {} if place % 3 == 0 else {"expirationDate": f"20{50 - place}-01-01T00:00:00.000Z"}
        status = "inactive" if place % 2 else "active"
        await made(native, TOKENS, name=name, status=status, scope=["devices.get"], **expiry)
    revoked = await native.post(f"/v1/tokens/{first['token']['id']}/revoke", {"reason": "of the test"})
    assert revoked.status == 200
    return list((await native.get(TOKENS, sortField="id")).json["items"])


def reference(tokens: list[Any], requested: dict[str, Any]) -> dict[str, Any]:
    """The expected list."""
    field, glob = requested.get("filterField", ""), requested.get("filter", "")
    found = [each for each in tokens if not (field and glob) or fnmatchcase(each[field], glob)]
    sort = requested.get("sortField", "name")
    down = requested.get("sortDirection", "").lower() == "desc"
    keys = {each["id"]: place if sort == "id" else each.get(sort, NEVER) for place, each in enumerate(tokens)}
    ages = {each["id"]: place for place, each in enumerate(tokens)}
    found.sort(key=lambda each: (keys[each["id"]], ages[each["id"]]), reverse=down)
    size, page = requested.get("perPage", 100), requested.get("page", 0)
    items = found[page * size : (page + 1) * size]
    return {
        "items": items, "count": len(items), "totalCount": len(found), "perPage": size, "page": page,
        **({"filter": glob} if glob else {}), **({"filterField": field} if field else {}),
        "sortField": sort, "sortDirection": "desc" if down else "asc",
        "ownerId": APPLICATION, "ownerType": "application",
    }  # fmt: skip


async def test_every_page_equals_the_reference(native: Caller, tokens: list[Any]) -> None:
    assert [each["name"] for each in tokens] == list(NAMES)
    some = random.Random(9)
    choices: dict[str, tuple[Any, ...]] = {
        "sortField": ("name", "status", "id", "creationDate", "lastUpdated", "expirationDate"),
        "sortDirection": ("asc", "desc", "ASC", "DESC", ""),
        "perPage": (1, 2, 3, 100),
        "page": (0, 1, 2, 7),
        "filterField": ("name", "status", ""),
        "filter": ("*", "a*", "*b", "b", "?b*", "c_", "c%", "*active", "in*", "active", "caf\u00e9", "no such", ""),
    }
    for _ in range(60):
        requested = {name: some.choice(values) for name, values in choices.items() if some.random() < 0.7}
        answer = await native.get(TOKENS, _actions="false", _links="true", _embedded="true", **requested)
        assert (answer.status, answer.json) == (200, reference(tokens, requested)), requested
        assert list(answer.json) == list(reference(tokens, requested))


async def test_a_name_is_found_in_every_unicode_composition(native: Caller, tokens: list[Any]) -> None:
    found = (await native.get(TOKENS, filterField="name", filter="cafe\u0301")).json
    assert [each["name"] for each in found["items"]] == ["caf\u00e9"]
    assert found["filter"] == "cafe\u0301"
    assert len(tokens) == len(NAMES)
