"""The numbers of an account's tokens and users reveal nothing of other accounts and have no gaps."""

from pathlib import Path
from secrets import token_urlsafe

from aiohttp import ClientSession

from api.service import Caller, basic, founded, served
from counterfoil.settings import Settings
from counterfoil_api.application import make_app


async def number(caller: Caller) -> int:
    found: int = (await caller.issue())["token"]["number"]
    return found


async def test_numbers_are_counted_for_each_account_without_gaps_after_refusals_replays_and_restarts(
    api_settings: Settings, tmp_path: Path
) -> None:
    names = [f"numbered-{token_urlsafe(6).lower()}" for _ in range(2)]
    for name in names:
        (tmp_path / name).mkdir()
    tokens = [(await founded(api_settings, name, tmp_path / name))["admin_token"] for name in names]
    async with served(make_app(api_settings)) as url, ClientSession(url) as session:
        ours, theirs = (Caller(session, f"Bearer {token}") for token in tokens)
        assert [await number(ours), await number(ours)] == [2, 3]  # number 1 is the founder's
        assert [await number(theirs) for _ in range(4)] == [2, 3, 4, 5]
        assert await number(ours) == 4
        for refused in ({"name": "n", "scopes": ["a..b"]}, {"name": "\x00"}, {"name": "n", "lifetime": "-1h"}):
            assert (await ours.post("/v1/tokens", refused)).status == 422
        key = token_urlsafe(32)
        reported = [(await ours.post("/v1/tokens", {"name": "n"}, Idempotency_Key=key)).json["token"] for _ in range(3)]
        assert [each["number"] for each in reported] == [5, 5, 5]
        clone = await ours.post(f"/v1/tokens/{reported[0]['id']}/clone", {"name": "another"})
        assert clone.json["token"]["number"] == 6
        person = {"email": f"{token_urlsafe(6)}@numbered.example.org", "role": "member"}
        made = [await each.post("/v1/users", person) for each in (ours, ours)]
        assert (made[0].json["user"]["number"], made[1].status) == (2, 409)
        other = {"email": f"{token_urlsafe(6)}@numbered.example.org", "role": "member"}
        assert (await ours.post("/v1/users", other)).json["user"]["number"] == 3
    async with served(make_app(api_settings)) as url, ClientSession(url) as session:
        ours, theirs = (Caller(session, f"Bearer {token}") for token in tokens)
        assert (await number(ours), await number(theirs)) == (7, 6)


async def test_refused_imports_leave_no_gap(admin: Caller) -> None:
    first = await number(admin)
    items = [{"name": "a", "secret": token_urlsafe(32), "scopes": [scope]} for scope in ("x", "a..b", "y", "..", "z")]
    results = (await admin.post("/v1/tokens/import", {"tokens": items})).json["results"]
    found = [each["number"] for each in results if each["status"] == "imported"]
    then = [await number(admin) for _ in range(2)]
    assert sorted(found + then) == list(range(first + 1, first + 6))


async def test_a_new_account_begins_with_one(admin: Caller) -> None:
    first = {"email": f"{token_urlsafe(6)}@begun.example.org", "password": "four words and a 4th"}
    opener = await admin.holder("accounts.create")
    opened = await opener.post("/v1/accounts", {"name": "Begun", "administrator": first})
    chief = Caller(admin.session, basic(f"{opened.json['id']}/{first['email']}", first["password"]))
    assert (await chief.get("/v1/users/self")).json["number"] == 1
    assert await number(chief) == 1
    person = {"email": f"{token_urlsafe(6)}@begun.example.org", "role": "member"}
    assert (await chief.post("/v1/users", person)).json["user"]["number"] == 2
