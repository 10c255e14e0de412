"""npm `scalingo` against the service, by its base URL alone."""

import pytest

from api.service import basic
from clients.conftest import Place
from clients.environment import Clients

pytestmark = pytest.mark.clients


async def test_the_npm_client_leads_a_token_through_its_life(clients: Clients, place: Place) -> None:
    account = place.account
    answer = await place.native.ask(
        "POST", "/scalingo/v1/tokens", b'{"token":{"name":"cli"}}',
        headers={"Authorization": basic(account.member_login, account.member_password)},
    )  # fmt: skip
    assert answer.status == 201, answer.body
    said = await clients.run("scalingo_life.cjs", place.given(token=answer.json["token"]["token"]))
    assert (said["self"]["id"], said["self"]["email"]) == (f"us-{account.member_user_id}", account.member_email)
    created, renewed = said["created"], said["renewed"]
    assert created["token"].startswith("tk-us-")
    assert created["name"] == "made by npm"
    assert created["id"] in said["ids"]
    assert {tuple(keys) for keys in said["listed"]} == {("id", "name", "created_at", "last_used_at")}
    assert said["used"] is not None
    assert renewed | {"token": created["token"]} == created
    refused = ("old", "ended", "unknown", "nameless", "raw", "gone", "wrong", "forged")
    assert [said[name]["status"] for name in refused] == [401, 401, 404, 422, 401, 401, 401, 401]
    for name in ("old", "ended", "raw", "gone", "wrong", "forged"):
        assert said[name]["message"] == said[name]["said"]["error"], name
    assert said["unknown"]["said"] == {"resource": "token", "error": "not found"}
    assert said["nameless"]["said"] == {"errors": {"name": ["can't be blank"]}}
