"""PyPI `losant-rest` against the service, by its base URL alone."""

import pytest

from clients.conftest import Place
from clients.environment import Clients

pytestmark = pytest.mark.clients


async def test_losant_rest_leads_a_token_through_its_life(clients: Clients, place: Place) -> None:
    said = await clients.run("losant_life.py", place.given())
    created = said["created"]
    assert said["login"] == ["token", "userId"]
    assert created["token"]
    assert said["got"] == {name: value for name, value in created.items() if name != "token"}
    assert (said["listed"]["count"], said["listed"]["items"]) == (1, [said["got"]])
    assert said["pages"] == [[2, 3, ["page 3", "page 2"]], [1, 3, ["page 1"]], [0, 3, []]]
    assert said["by itself"] > 0
    assert (said["patched"]["description"], said["patched"]["status"], said["active"]) == (
        "changed", "inactive", "active",
    )  # fmt: skip
    assert said["deleted"] == {"success": True}
    refused = {name: said[name][:2] for name in ("wrong", "inactive", "closed", "unknown", "elsewhere", "nameless")}
    assert refused == {
        "wrong": [401, "Unauthorized"],
        "inactive": [401, "Unauthorized"],
        "closed": [400, "Validation"],
        "unknown": [404, "NotFound"],
        "elsewhere": [404, "NotFound"],
        "nameless": [400, "Validation"],
    }
    assert said["elsewhere"][2] == "Application was not found"
    assert (said["gone"][0], said["dead"][0]) == (404, 401)
