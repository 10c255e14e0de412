"""The rules of the account, its administrators and the limits also apply to forward authentication."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp import ClientSession

from api.proxy import Asked, bearer, issued
from api.service import Caller, founded, served, settings_for
from counterfoil.core.secret import mint
from counterfoil_api.application import make_app
from counterfoil_api.limits import guard
from counterfoil_api.limits.quotas import Quota
from counterfoil_dev.postgres import Database


@pytest.fixture
async def own(database: Database, tmp_path: Path) -> AsyncIterator[tuple[Asked, Caller]]:
    """A proxy and an administrator of a separate service that trusts proxies on this machine."""
    settings = settings_for(database.app_url, TRUSTED_PROXIES="127.0.0.0/8", GUESS_LIMIT="3/1m")
    account = await founded(settings, "own", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        yield Asked(session, account["account"]), Caller(session, f"Bearer {account['admin_token']}")


def through(client: str, plain: str) -> dict[str, str]:
    return {**bearer(plain), "X-Forwarded-For": client}


async def test_the_networks_of_the_account_apply_to_the_address_that_the_proxy_forwards(
    own: tuple[Asked, Caller],
) -> None:
    proxy, admin = own
    secret = (await issued(admin))["secret"]
    changed = await admin.patch("/v1/account", {"policy": {"networks": ["192.0.2.0/24", "127.0.0.0/8"]}}, If_Match="*")
    assert changed.status == 200, changed.body
    assert (await proxy.about(through("192.0.2.7", secret))).status == 200
    for elsewhere in ("203.0.113.9", "192.0.2.7, 203.0.113.9"):
        refused = await proxy.about(through(elsewhere, secret))
        assert (refused.status, refused.problem) == (403, "network-forbidden")


async def test_the_end_of_all_secrets_applies_behind_proxies(own: tuple[Asked, Caller]) -> None:
    proxy, admin = own
    secret = (await issued(admin))["secret"]
    bought = (await admin.with_token(secret).post("/v1/exchange", {})).json["access_token"]
    assert [(await proxy.about(bearer(shown))).status for shown in (secret, bought)] == [200, 200]
    assert (await admin.post("/v1/account/end-secrets", {"reason": "for the test"})).status == 200
    assert [(await proxy.about(bearer(shown))).problem for shown in (secret, bought)] == ["secret-ended"] * 2


async def test_a_rate_limited_ended_token_is_not_revealed_to_another_account(
    own: tuple[Asked, Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "DEAD", Quota(1, 60))
    proxy, admin = own
    made = await issued(admin)
    assert (await admin.post(f"/v1/tokens/{made['token']['id']}/revoke", {"reason": "for the test"})).status == 200
    answers = [await proxy.about(through("192.0.2.7", made["secret"])) for _ in range(3)]
    assert [answer.problem for answer in answers] == ["token-revoked", "not-verified", "not-verified"]
    elsewhere = await proxy.about(through("192.0.2.7", made["secret"]), account=str(uuid4()))
    never = await proxy.about(through("192.0.2.7", mint("application").plain), account=str(uuid4()))
    assert (elsewhere.status, elsewhere.body) == (never.status, never.body) == (401, never.body)


async def test_guesses_are_limited_for_each_client_and_do_not_affect_others(own: tuple[Asked, Caller]) -> None:
    proxy, admin = own
    secret = (await issued(admin))["secret"]
    for client in ("198.51.100.1", "198.51.101.1"):
        answers = [await proxy.about(through(client, mint("service").plain)) for _ in range(4)]
        assert [answer.status for answer in answers] == [401, 401, 401, 403]
        assert (answers[-1].problem, answers[-1].json["reason"]) == ("not-verified", "rate-limited")
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
        assert (await proxy.about(through(client, secret))).status == 200
