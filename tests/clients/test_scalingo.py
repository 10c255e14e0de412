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
    output = await clients.run("scalingo_life.cjs", place.given(token=answer.json["token"]["token"]))
    assert (output["self"]["id"], output["self"]["email"]) == (f"us-{account.member_user_id}", account.member_email)
    created, renewed = output["created"], output["renewed"]
    assert created["token"].startswith("tk-us-")
    assert created["name"] == "made by npm"
    assert created["id"] in output["ids"]
    assert {tuple(keys) for keys in output["listed"]} == {("id", "name", "created_at", "last_used_at")}
    assert output["used"] is not None
    assert renewed | {"token": created["token"]} == created
    refused = ("old", "ended", "unknown", "nameless", "raw", "gone", "wrong", "forged")
    assert [output[name]["status"] for name in refused] == [401, 401, 404, 422, 401, 401, 401, 401]
    for name in ("old", "ended", "raw", "gone", "wrong", "forged"):
        assert output[name]["message"] == output[name]["said"]["error"], name
    assert output["unknown"]["said"] == {"resource": "token", "error": "not found"}
    assert output["nameless"]["said"] == {"errors": {"name": ["can't be blank"]}}
