"""The curl lines of Canvus' page, as they are printed; and a subscription, while another process changes tokens."""

import re

import pytest

from clients.conftest import Place
from clients.curl import Curl

pytestmark = pytest.mark.clients
HOST = "https://canvus.example.com"
ADMIN = "W1bns7ZYuN_u7fQTR3i6L0JopiRCGsbNjXRw7Z-yX0E"
ID = "JDJhJDA0JENKTWJDT0g1QVNYSkFQTXh3NlhNWi5CWjlqT05yR2h0cXJ1d1VQZW9sZWlsWkJneXRXbTRp"
LIST = 'curl -H "Private-Token: <access token>" https://canvus.example.com/api/v1/users/1001/access-tokens'
SINGLE = f"{LIST}/{ID}"
CREATE = (
    f'curl -X POST -H "Private-Token: {ADMIN}" -d \'{{"description":"Second token"}}\' '
    "https://canvus.example.com/api/v1/users/1001/access-tokens"
)
CHANGE = (
    f'curl -X PATCH -H "Private-Token: {ADMIN}" -d \'{{"description":"Updated description"}}\' '
    f"https://canvus.example.com/api/v1/users/1001/access-tokens/{ID}"
)
DELETE = f'curl -X DELETE -H "Private-Token: {ADMIN}" https://canvus.example.com/api/v1/users/1001/access-tokens/{ID}'


def meant(place: Place, **more: str) -> dict[str, str]:
    """What stands there in place of what the page prints."""
    return {
        HOST: f"{place.url}/canvus",
        "/users/1001/": f"/users/{place.account.member_user_number}/",
        "<access token>": place.account.member_token,
        ADMIN: place.account.admin_token,
        **more,
    }


async def test_the_lines_of_the_page_lead_a_token_through_its_life(curl: Curl, place: Place) -> None:
    created = await curl(CREATE, meant(place))
    assert created.status == 200
    token = created.json
    assert list(token) == ["created_at", "description", "id", "plain_token"]
    assert token["description"] == "Second token"
    assert re.fullmatch(r"JDJhJDA0J[A-Za-z0-9+/]{71}", token["id"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token["plain_token"])
    known = meant(place) | {ID: token["id"], "<access token>": token["plain_token"]}
    shown = {name: token[name] for name in ("created_at", "description", "id")}
    assert shown in (await curl(LIST, known)).json
    assert (await curl(SINGLE, known)).json == shown
    changed = await curl(CHANGE, known)
    assert (changed.status, changed.json) == (200, shown | {"description": "Updated description"})
    assert (await curl(SINGLE, known)).json == changed.json
    assert (await curl(DELETE, known)).status == 200
    refused = await curl(LIST, known)
    assert (refused.status, refused.json["message"]) == (401, "401 Unauthorized")
    for line in (CHANGE, DELETE):
        gone = await curl(line, known)
        assert (gone.status, set(gone.json)) == (404, {"msg", "message"})


async def test_nobody_but_an_administrator_sees_the_tokens_of_others(curl: Curl, place: Place) -> None:
    theirs = {"/users/1001/": f"/users/{place.account.admin_user_number}/"}
    for line in (LIST, CREATE):
        refused = await curl(line, meant(place) | theirs | {ADMIN: place.account.member_token})
        assert (refused.status, refused.json["msg"]) == (403, "Permission denied")


async def test_a_subscription_shows_what_another_process_changes(curl: Curl, place: Place) -> None:
    elsewhere = {HOST: f"{place.elsewhere}/canvus"}
    async with curl.following(f"{LIST}?subscribe".replace("curl ", "curl -N "), meant(place)) as lines:
        state = await anext(lines)
        assert isinstance(state, list)
        token = (await curl(CREATE, meant(place) | elsewhere)).json
        shown = {name: token[name] for name in ("created_at", "description", "id")}
        assert await anext(lines) == shown | {"state": "normal"}
        known = meant(place, **{ID: token["id"]})
        await curl(CHANGE, known | elsewhere)
        changed = shown | {"description": "Updated description"}
        assert await anext(lines) == changed | {"state": "normal"}
        await curl(DELETE, known)
        assert await anext(lines) == changed | {"state": "deleted"}
