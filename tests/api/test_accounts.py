"""The account: its policy, its networks, and the end of all its secrets at once."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp import ClientSession

from api.service import Caller, basic, founded
from counterfoil.settings import Settings


@pytest.fixture
async def tenant(api_settings: Settings, tmp_path: Path) -> dict[str, str]:
    """A separate account for the test, since these changes affect all of it."""
    return await founded(api_settings, f"tenant-{tmp_path.name}", tmp_path)


@pytest.fixture
def chief(session: ClientSession, tenant: dict[str, str]) -> Caller:
    return Caller(session, f"Bearer {tenant['admin_token']}")


@pytest.fixture
def person(session: ClientSession, tenant: dict[str, str]) -> Caller:
    return Caller(session, basic(tenant["admin_login"], tenant["admin_password"]))


async def test_an_account_is_shown_and_its_policy_can_be_changed(chief: Caller, tenant: dict[str, str]) -> None:
    shown = await chief.get("/v1/account")
    assert shown.json["id"] == tenant["account"]
    assert shown.json["policy"] == {
        "max_lifetime": None, "default_lifetime": None, "notices": None, "networks": [],
        "catalogue_closed": False,
    }  # fmt: skip
    policy: dict[str, object] = {
        "max_lifetime": "90d",
        "default_lifetime": "30d",
        "notices": ["7d", "36h"],
        "networks": [],
    }
    policy["catalogue_closed"] = True
    changed = await chief.patch("/v1/account", {"policy": policy, "name": "Acme"})
    assert (changed.json["policy"], changed.json["name"]) == (policy, "Acme")
    assert changed.json["revision"] == 3
    stale = await chief.patch("/v1/account", {"name": "Other"}, If_Match='"1"')
    assert stale.problem == "stale-revision"


async def test_tokens_are_issued_under_the_policy(chief: Caller) -> None:
    await chief.patch("/v1/account", {"policy": {"max_lifetime": "90d", "default_lifetime": "30d", "notices": ["2h"]}})
    issued = (await chief.post("/v1/tokens", {"name": "usual"})).json["token"]
    assert issued["lifetime"] == "30d"
    for body in ({"lifetime": "91d"}, {"lifetime": "forever"}, {"expires_at": "2998-01-01T00:00:00Z"}):
        refused = await chief.post("/v1/tokens", {"name": "long"} | body)
        assert (refused.status, refused.problem) == (403, "beyond-policy")
        assert refused.json["longest"] == "90d"
        assert (await chief.post(f"/v1/tokens/{issued['id']}/renew", body)).problem == "beyond-policy"
    assert (await chief.post(f"/v1/tokens/{issued['id']}/renew", {"lifetime": "90d"})).status == 200


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"max_lifetime": "30d", "default_lifetime": "31d"}, "default_lifetime"),
        ({"max_lifetime": "30d", "default_lifetime": "forever"}, "default_lifetime"),
        ({"max_lifetime": "0s"}, "max_lifetime"),
        ({"notices": ["0s"]}, "thresholds"),
        ({"networks": ["192.0.2.1/24"]}, "networks"),
        ({"networks": ["nowhere"]}, "networks"),
    ],
)
async def test_an_invalid_policy_is_refused(chief: Caller, policy: dict[str, object], field: str) -> None:
    refused = await chief.patch("/v1/account", {"policy": policy})
    assert (refused.status, refused.problem, refused.json["field"]) == (422, "bad-policy", field)


async def test_an_account_is_used_only_from_its_networks(chief: Caller, person: Caller) -> None:
    elsewhere = {"policy": {"networks": ["192.0.2.0/24"]}}
    shut = await chief.patch("/v1/account", elsewhere)
    assert (shut.status, shut.problem) == (409, "shuts-you-out")
    bearer = (await chief.post("/v1/exchange", {})).json["access_token"]
    here = {"policy": {"networks": ["127.0.0.0/8", "::1/128"]}}
    assert (await chief.patch("/v1/account", here)).status == 200
    for asking in (chief, person, Caller(chief.session, f"Bearer {bearer}")):
        assert (await asking.get("/v1/account")).status == 200
    assert (await chief.patch("/v1/account", elsewhere | {"shut_me_out": True})).status == 200
    for asking in (chief, person, Caller(chief.session, f"Bearer {bearer}")):
        refused = await asking.get("/v1/account")
        assert (refused.status, refused.problem) == (403, "network-forbidden")


async def test_ending_all_secrets_also_ends_their_bearers_and_keeps_password_logins(
    chief: Caller, person: Caller, stranger: Caller
) -> None:
    issued = (await chief.post("/v1/tokens", {"name": "service", "scopes": ["account.read"]})).json
    secret = Caller(chief.session, f"Bearer {issued['secret']}")
    bearer = Caller(chief.session, f"Bearer {(await secret.post('/v1/exchange', {})).json['access_token']}")
    assert (await bearer.get("/v1/account")).status == 200
    ended = await chief.post("/v1/account/end-secrets", {"reason": "the vault was copied"})
    assert ended.status == 200
    assert ended.json["valid_after"] is not None
    for dead in (chief, secret, bearer):
        refused = await dead.get("/v1/account")
        assert (refused.status, refused.problem) == (401, "secret-ended")
    assert (await secret.post("/v1/exchange", {})).problem == "secret-ended"
    assert (await stranger.get("/v1/account")).status == 200
    again = (await person.post(f"/v1/tokens/{issued['token']['id']}/rotate", {"grace": "1h"})).json["secret"]
    assert (await Caller(chief.session, f"Bearer {again}").get("/v1/account")).status == 200
    assert (await secret.get("/v1/account")).problem == "secret-ended"
    assert (await bearer.get("/v1/account")).problem == "secret-ended"


async def test_no_secret_issued_meanwhile_survives_the_end_of_all_secrets(chief: Caller) -> None:
    secrets: list[str] = []
    many = asyncio.Event()

    async def issue() -> None:
        while (answer := await chief.post("/v1/tokens", {"name": "n", "scopes": ["account.read"]})).status == 201:
            secrets.append(answer.json["secret"])
            if len(secrets) == 20:
                many.set()

    issuing = [asyncio.create_task(issue()) for _ in range(8)]
    await many.wait()
    assert (await chief.post("/v1/account/end-secrets", {"reason": "now"})).status == 200
    await asyncio.gather(*issuing)
    for secret in secrets:
        assert (await Caller(chief.session, f"Bearer {secret}").get("/v1/account")).problem == "secret-ended"


async def test_an_account_can_open_other_accounts_that_are_isolated_tenants(
    chief: Caller, tenant: dict[str, str], stranger: Caller
) -> None:
    email, password = f"head@{tenant['account']}.example", "four words and a 4th"
    body = {"name": "Payments", "administrator": {"email": email, "password": password}}
    opened = await chief.post("/v1/accounts", body)
    assert (opened.status, opened.json["parent"]) == (201, tenant["account"])
    head = Caller(chief.session, basic(f"{opened.json['id']}/{email}", password))
    own = (await head.get("/v1/account")).json
    assert (own["id"], own["name"]) == (opened.json["id"], "Payments")
    token = await head.issue(name="theirs")
    assert (await chief.get(f"/v1/tokens/{token['token']['id']}")).problem == "not-found"
    assert [each["id"] for each in (await chief.get("/v1/accounts")).json["items"]] == [tenant["account"], own["id"]]
    assert [each["id"] for each in (await head.get("/v1/accounts")).json["items"]] == [own["id"]]
    assert own["id"] not in {each["id"] for each in (await stranger.get("/v1/accounts")).json["items"]}
    child = {"name": "Deeper", "administrator": {"email": f"x{email}", "password": password}}
    assert (await head.post("/v1/accounts", child)).problem == "beyond-caller"


@pytest.mark.parametrize(
    ("administrator", "problem"),
    [
        ({"email": "not an address", "password": "four words and a 4th"}, "bad-email"),
        ({"email": "a@b.example", "password": "short"}, "bad-password"),
        ({"email": "a@b.example", "password": "password1234"}, "bad-password"),
    ],
)
async def test_an_account_is_never_left_without_an_administrator(
    chief: Caller, administrator: dict[str, str], problem: str
) -> None:
    refused = await chief.post("/v1/accounts", {"name": "Payments", "administrator": administrator})
    assert refused.problem == problem
    assert len((await chief.get("/v1/accounts")).json["items"]) == 1


async def test_one_address_opens_many_accounts_and_a_repeated_key_returns_the_same_one(chief: Caller) -> None:
    first = {"email": f"only-{uuid4().hex}@payments.example", "password": "four words and a 4th"}
    requested = [chief.post("/v1/accounts", {"name": f"P{n}", "administrator": first}) for n in range(6)]
    answers = await asyncio.gather(*requested)
    assert [answer.status for answer in answers] == [201] * 6
    heads = [Caller(chief.session, basic(f"{each.json['id']}/{first['email']}", first["password"])) for each in answers]
    assert [(await head.get("/v1/account")).json["id"] for head in heads] == [each.json["id"] for each in answers]
    second = {"name": "Q", "administrator": first}
    opened = [await chief.post("/v1/accounts", second, Idempotency_Key="once") for _ in range(2)]
    assert opened[0].json == opened[1].json
    assert len((await chief.get("/v1/accounts")).json["items"]) == 8
