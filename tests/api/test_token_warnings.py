"""Token requests that are probably mistakes: which are refused, and which are accepted with a warning."""

from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_urlsafe

import pytest
from aiohttp import ClientSession

from api.service import Caller, basic, founded, served, settings_for
from counterfoil.core.scopes import SCOPE_LIMIT
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database

MISSPELT = "tokens.raed"
MEANT = "'tokens.raed' is not a scope of Counterfoil; did you mean tokens.read?"


@pytest.fixture
async def alones(database: Database, tmp_path: Path) -> dict[str, str]:
    """The credentials of an account that no other test changes."""
    return await founded(settings_for(database.app_url), "alone", tmp_path)


@pytest.fixture
async def alone(database: Database, alones: dict[str, str]) -> AsyncIterator[Caller]:
    """Its administrator."""
    async with served(make_app(settings_for(database.app_url))) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {alones['admin_token']}")


def codes(token: dict[str, list[dict[str, str]]]) -> list[str]:
    return [warning["code"] for warning in token["warnings"]]


async def test_a_token_without_a_lifetime_is_issued_with_a_warning(alone: Caller) -> None:
    silent = (await alone.issue())["token"]
    assert codes(silent) == ["never-expires"]
    assert codes((await alone.issue(lifetime="forever"))["token"]) == [], "that was said"
    assert codes((await alone.issue(lifetime="90d"))["token"]) == []
    clone = (await alone.post(f"/v1/tokens/{silent['id']}/clone", {})).json["token"]
    assert codes(clone) == ["never-expires"]
    assert "warnings" not in (await alone.get(f"/v1/tokens/{silent['id']}")).json
    await alone.patch("/v1/account", {"policy": {"default_lifetime": "30d"}})
    assert codes((await alone.issue())["token"]) == []


async def test_a_warning_is_given_again_under_the_same_key(alone: Caller) -> None:
    first, again = [
        await alone.post("/v1/tokens", {"name": "x"}, Idempotency_Key="k" * 22) for _ in range(2)
    ]  # fmt: skip
    assert first.json == again.json
    assert codes(again.json["token"]) == ["never-expires"]


async def test_an_unknown_built_in_scope_is_refused_wherever_scopes_are_read(admin: Caller) -> None:
    token = (await admin.issue())["token"]
    path = f"/v1/tokens/{token['id']}"
    holder = await admin.holder("tokens.*", "mail.send")
    for refused in (
        await admin.post("/v1/tokens", {"name": "x", "scopes": [MISSPELT]}),
        await admin.post(f"{path}/clone", {"scopes": [MISSPELT]}),
        await admin.patch(path, {"scopes": [MISSPELT]}),
        await admin.post("/v1/users", {"email": "typo@example.org", "role": "member", "scopes": [MISSPELT]}),
        await admin.put("/v1/scope-sets/typos", {"scopes": [MISSPELT]}),
        await admin.put(f"/v1/scopes/{MISSPELT}", {"sentence": "What?"}),
        await holder.post("/v1/exchange", {"scopes": [MISSPELT]}),
        await admin.get("/v1/tokens", scope=MISSPELT),
        await admin.post("/v1/revocations/plan", {"filter": {"scope": MISSPELT}}),
    ):
        assert (refused.status, refused.json["detail"]) == (422, MEANT)
    imported = {"name": "x", "secret": token_urlsafe(), "scopes": [MISSPELT]}
    for dry_run in (True, False):
        report = (await admin.post("/v1/tokens/import", {"tokens": [imported], "dry_run": dry_run})).json
        assert report["results"][0]["problem"]["detail"] == MEANT
    assert (await admin.get(path)).json["revision"] == 1
    assert (await admin.issue(scopes=["tokens.*", "own.rotate", "self.rotate", "payroll.raed"])) is not None


async def test_a_proxy_that_demands_an_unknown_built_in_scope_gets_an_explanation(admin: Caller) -> None:
    account = (await admin.get("/v1/account")).json["id"]
    refused = await admin.get("/v1/forward", account=account, scope=MISSPELT)
    assert (refused.problem, refused.json["detail"]) == ("proxy-misconfigured", MEANT)


async def test_a_scope_missing_from_a_catalogue_is_issued_with_a_warning(alone: Caller) -> None:
    lifetime = {"lifetime": "1h"}
    assert codes((await alone.issue(scopes=["payroll.read"], **lifetime))["token"]) == [], "there is no catalogue"
    await alone.put("/v1/scopes/invoices.*", {"sentence": "Whatever is done with invoices."})
    token = (await alone.issue(scopes=["payroll.read", "tokens.read", "invoices.read"], **lifetime))["token"]
    assert codes(token) == ["scopes-undescribed"]
    assert "does not describe payroll.read;" in token["warnings"][0]["detail"]
    path = f"/v1/tokens/{token['id']}"
    assert codes((await alone.patch(path, {"scopes": ["payroll.write"]})).json) == ["scopes-undescribed"]
    assert codes((await alone.patch(path, {"scopes": ["invoices.read"]})).json) == []
    await alone.put("/v1/scopes/payroll.read", {"sentence": "Read who earns what."})
    assert codes((await alone.issue(scopes=["payroll.read"], **lifetime))["token"]) == []


async def test_a_closed_catalogue_refuses_undescribed_scopes(alone: Caller) -> None:
    token = (await alone.issue(scopes=["mail.send", "payroll.read"]))["token"]
    path = f"/v1/tokens/{token['id']}"
    await alone.put("/v1/scopes/mail.*", {"sentence": "Whatever is done with mail."})
    closed = await alone.patch("/v1/account", {"policy": {"catalogue_closed": True}})
    assert closed.json["policy"]["catalogue_closed"] is True
    for refused in (
        await alone.post("/v1/tokens", {"name": "x", "scopes": ["payroll.read"]}),
        await alone.post(f"{path}/clone", {}),
        await alone.patch(path, {"scopes": ["payroll.read"]}),
        await alone.post("/v1/users", {"email": "x@example.org", "role": "member", "scopes": ["payroll.read"]}),
        await alone.put("/v1/scope-sets/payroll", {"scopes": ["payroll.read"]}),
    ):
        assert (refused.status, refused.problem) == (403, "beyond-policy")
        assert "does not describe payroll.read; describe them in the catalogue first." in refused.json["detail"]
    imported = {"name": "x", "secret": token_urlsafe(), "scopes": ["payroll.read"]}
    for dry_run in (True, False):
        report = (await alone.post("/v1/tokens/import", {"tokens": [imported], "dry_run": dry_run})).json
        assert report["results"][0]["problem"]["type"].endswith("beyond-policy")
    assert (await alone.patch(path, {"name": "renamed", "scopes": ["mail.send", "payroll.read"]})).status == 200
    assert (await alone.issue(scopes=["mail.send", "tokens.read"])) is not None
    await alone.patch("/v1/account", {"policy": {}})
    assert (await alone.issue(scopes=["payroll.read"])) is not None


async def test_a_closed_catalogue_checks_every_scope_of_a_long_list(alone: Caller) -> None:
    await alone.put("/v1/scopes/a.b", {"sentence": "It is described."})
    await alone.patch("/v1/account", {"policy": {"catalogue_closed": True}})
    hidden = ["a.b"] * SCOPE_LIMIT + ["payroll.read"]
    for path, body in (
        ("/v1/tokens", {"name": "x", "scopes": hidden}),
        ("/v1/users", {"email": "x@example.org", "role": "member", "scopes": hidden}),
    ):
        assert (await alone.post(path, body)).problem == "beyond-policy"
    assert (await alone.put("/v1/scope-sets/payroll", {"scopes": hidden})).problem == "beyond-policy"
    many = [f"x.{n}" for n in range(SCOPE_LIMIT)]
    tokens = [{"name": "x", "secret": token_urlsafe(), "scopes": scopes} for scopes in (many, ["payroll.read", "a.b"])]
    for dry_run in (True, False):
        report = (await alone.post("/v1/tokens/import", {"tokens": tokens, "dry_run": dry_run})).json
        assert all(each["problem"]["type"].endswith("beyond-policy") for each in report["results"]), report


async def test_a_login_gets_no_scope_that_a_closed_catalogue_does_not_describe(
    alone: Caller, alones: dict[str, str]
) -> None:
    await alone.patch("/v1/account", {"policy": {"catalogue_closed": True}})
    ada = Caller(alone.session, basic(alones["admin_login"], alones["admin_password"]))
    refused = await ada.post("/v1/login", {"scopes": ["tokens.read", "payroll.read"]})
    assert (refused.status, refused.problem) == (403, "beyond-policy")
    assert (await ada.post("/v1/login", {"scopes": ["tokens.read"]})).status == 201
    assert (await ada.post("/v1/login")).status == 201
