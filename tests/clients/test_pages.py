"""The curl lines of the other vendors' pages, with what is misprinted there put right: a comma, a verb, line ends."""

import re

import pytest

from clients.conftest import Place
from clients.curl import Curl

pytestmark = pytest.mark.clients

SCALINGO = {
    "list": """curl -H "Accept: application/json" -H "Content-Type: application/json" \\
 -H "Authorization: Bearer $BEARER_TOKEN" \\
 -X GET https://auth.scalingo.com/v1/tokens""",
    "create": """curl -H "Accept: application/json" -H "Content-Type: application/json" \\
 -u "<your username>:<your password>" \\
 -H "X-Authorization-OTP: 123456" \\
 -X POST https://auth.scalingo.com/v1/tokens -d \\
 '{
   "token": {
     "name": "Test Token"
   }
 }'""",
    "renew": """curl -H "Accept: application/json" -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $BEARER_TOKEN" \\
  -X PATCH https://auth.scalingo.com/v1/tokens/7212518c-7eb3-47fd-a6da-a627d767d7eb/renew""",
    "exchange": """curl -H "Accept: application/json" -H "Content-Type: application/json" \\
 -u ":<your token>" \\
 -X POST https://auth.scalingo.com/v1/tokens/exchange""",
    "delete": """curl -H "Accept: application/json" -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $BEARER_TOKEN" \\
  -X DELETE https://auth.scalingo.com/v1/tokens/7212518c-7eb3-47fd-a6da-a627d767d7eb""",
}
LOSANT = {
    "get": """curl -H 'Content-Type: application/json' \\
    -H 'Accept: application/json' \\
    -H 'Authorization: Bearer YOUR_API_ACCESS_TOKEN' \\
    -X GET \\
    https://api.losant.com/applications/APPLICATION_ID/tokens""",
    "post": """curl -H 'Content-Type: application/json' \\
    -H 'Accept: application/json' \\
    -H 'Authorization: Bearer YOUR_API_ACCESS_TOKEN' \\
    -X POST \\
    -d '{"name":"My New API Token","expirationDate":"2017-06-13T04:00:00.000Z","scope":["all.Application"],"status":"active"}' \\
    https://api.losant.com/applications/APPLICATION_ID/tokens""",  # noqa: E501 - as it is printed
}
VIRTUOZZO = "https://app.${platformDomain}/1.0/environment/control/rest/stopenv?envName=${envName}&session=${token}"


async def test_scalingos_lines_lead_a_token_through_its_life(curl: Curl, place: Place) -> None:
    account, host = place.account, {"https://auth.scalingo.com": f"{place.url}/scalingo"}
    password = {"<your username>": account.member_email, "<your password>": account.member_password}
    created = await curl(SCALINGO["create"], host | password)
    assert created.status == 201
    token = created.json["token"]
    assert (token["name"], token["last_used_at"]) == ("Test Token", None)
    exchanged = await curl(SCALINGO["exchange"], host | {"<your token>": token["token"]})
    assert (exchanged.status, list(exchanged.json)) == (200, ["token"])
    bearer, known = exchanged.json["token"], host | {"7212518c-7eb3-47fd-a6da-a627d767d7eb": token["id"]}
    listed = await curl(SCALINGO["list"], known, BEARER_TOKEN=bearer)
    assert (listed.status, token["id"] in {each["id"] for each in listed.json["tokens"]}) == (200, True)
    renewed = await curl(SCALINGO["renew"], known, BEARER_TOKEN=bearer)
    assert (renewed.status, renewed.json["token"]["id"]) == (200, token["id"])
    old = await curl(SCALINGO["exchange"], host | {"<your token>": token["token"]})
    assert (old.status, "error" in old.json) == (401, True)
    exchanged = await curl(SCALINGO["exchange"], host | {"<your token>": renewed.json["token"]["token"]})
    deleted = await curl(SCALINGO["delete"], known, BEARER_TOKEN=exchanged.json["token"])
    assert (deleted.status, deleted.body) == (204, "")


async def test_losants_lines_make_a_token_and_list_it(curl: Curl, place: Place) -> None:
    known = {
        "https://api.losant.com": f"{place.url}/losant",
        "YOUR_API_ACCESS_TOKEN": place.account.admin_token,
        "APPLICATION_ID": place.account.application_id,
    }
    posted = await curl(LOSANT["post"], known)
    assert (posted.status, len(posted.json)) == (201, len(set(posted.json)))
    token = posted.json
    assert (token["name"], token["scope"]) == ("My New API Token", ["all.Application"])
    listed = await curl(LOSANT["get"], known)
    assert listed.status == 200
    assert token["id"] in {each["id"] for each in listed.json["items"]}
    gone = await curl(LOSANT["get"], known | {"APPLICATION_ID": "575ec8687ae143cd83dc4a97"})
    assert (gone.status, gone.json) == (404, {"type": "NotFound", "message": "Application was not found"})


async def test_virtuozzos_address_stops_an_environment(curl: Curl, place: Place) -> None:
    made = await place.native.issue(
        name="stops", scopes=["virtuozzo.environment.control.stopenv"],
        owner={"type": "user", "id": str(place.account.member_user_id)},
    )  # fmt: skip
    there = {"https://app.${platformDomain}": f"{place.url}/virtuozzo"}
    stopped = await curl(f'curl "{VIRTUOZZO}"', there, envName="my-project", token=made["secret"])
    assert (stopped.status, stopped.json["result"]) == (200, 0)
    assert re.fullmatch(r"/1\.0/environment/control/rest/stopenv", stopped.json["method"])
    assert stopped.json["parameters"] == ["envName"]
    started = VIRTUOZZO.replace("stopenv", "startenv")
    refused = await curl(f'curl "{started}"', there, envName="my-project", token=made["secret"])
    assert (refused.status, refused.json["result"]) == (200, 8202)
