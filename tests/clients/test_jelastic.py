"""PyPI `py-jelastic`, `jelastic-client` and `jelapi` against the service, by its base URL alone."""

import re

import pytest

from clients.conftest import Place
from clients.environment import Clients

pytestmark = pytest.mark.clients


async def test_three_clients_lead_a_token_through_its_life(clients: Clients, place: Place) -> None:
    output = await clients.run("jelastic_life.py", place.given())
    made = output["made"]
    assert re.fullmatch(r"[0-9a-f]{40}", made["key"])
    assert (made["description"], made["expiresAt"]) == ("made by py-jelastic", "2090-01-01 00:00:00")
    (listed,) = output["listed"]
    assert "key" not in listed
    assert output["edited"]["description"] == "edited"
    assert {"Extended Access", "IDE Plugins", "Marketplace", "Maven Plugin"} <= set(output["templates"])
    assert output["methods"] > 10
    assert output["e-mail"] == output["jelapi"] == place.account.member_email
    # What is no method for tokens goes on to the platform, without the key.
    assert (output["environment"]["env"]["envName"], output["runs"]) == ("my-project", True)
    assert "session" not in output["environment"]["parameters"]
    assert output["regenerated"]["id"] == made["id"]
    assert output["regenerated"]["key"] != made["key"]
    assert (output["deleted"], output["signed out"]) == (0, 0)
    for client in ("by jelastic-client", "by jelapi"):
        assert output[client] == {
            "made": [],
            "edited": ["environment.control.StartEnv", "environment.control.StopEnv"],
            "regenerated": True,
            "listed": ["made by POST"],
            "left": [],
        }
    kinds = {name: output[name][0] for name in ("wrong", "no password", "unknown", "permission", "session over")}
    assert kinds == {
        "wrong": "JelasticApiError",
        "no password": "JelasticApiError",
        "unknown": "JelasticResourceNotFound",
        "permission": "JelasticPermissionError",
        "session over": "JelasticApiError",
    }
    for name in ("may not stop", "old key", "dead"):
        assert output[name][0] == "JelasticClientException"
    assert output["jelapi refused"][0] == "JelasticAPIException"
