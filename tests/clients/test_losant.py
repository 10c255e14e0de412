"""PyPI `losant-rest` against the service, by its base URL alone."""

import pytest

from clients.conftest import Place
from clients.environment import Clients

pytestmark = pytest.mark.clients


async def test_losant_rest_leads_a_token_through_its_life(clients: Clients, place: Place) -> None:
    output = await clients.run("losant_life.py", place.given())
    created = output["created"]
    assert output["login"] == ["token", "userId"]
    assert created["token"]
    assert output["got"] == {name: value for name, value in created.items() if name != "token"}
    assert (output["listed"]["count"], output["listed"]["items"]) == (1, [output["got"]])
    assert output["pages"] == [[2, 3, ["page 3", "page 2"]], [1, 3, ["page 1"]], [0, 3, []]]
    assert output["by itself"] > 0
    assert (output["patched"]["description"], output["patched"]["status"], output["active"]) == (
        "changed", "inactive", "active",
    )  # fmt: skip
    assert output["deleted"] == {"success": True}
    refused = {name: output[name][:2] for name in ("wrong", "inactive", "closed", "unknown", "elsewhere", "nameless")}
    assert refused == {
        "wrong": [401, "Unauthorized"],
        "inactive": [401, "Unauthorized"],
        "closed": [400, "Validation"],
        "unknown": [404, "NotFound"],
        "elsewhere": [404, "NotFound"],
        "nameless": [400, "Validation"],
    }
    assert output["elsewhere"][2] == "Application was not found"
    assert (output["gone"][0], output["dead"][0]) == (404, 401)
