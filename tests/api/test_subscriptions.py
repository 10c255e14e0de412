"""Subscriptions over HTTP: secrets are shown once, targets are checked, and deliveries can be read and repeated."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from api.service import Answer, Caller, founded, served, settings_for
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.settings import Settings
from counterfoil.uses.notifications import NOTIFICATIONS
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from counterfoil_worker.deliver import Deliveries
from counterfoil_worker.followers import Followers
from postgres.sealing import seal_all
from worker.webhook_receiver import Receiver, receiver, status

NEW = {"name": "on call", "url": "https://192.88.98.1/x", "events": ["expiring", "created"]}
PATH = "/v1/subscriptions"


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


@pytest.fixture
def own_settings(database: Database, hook: Receiver) -> Settings:
    return settings_for(database.app_url, EGRESS_ALLOWED=hook.url, SUBSCRIPTIONS_PER_ACCOUNT="3")


@pytest.fixture
async def own(own_settings: Settings, tmp_path: Path) -> AsyncIterator[Caller]:
    """The administrator of an account with a database of its own, whose service may call the receiver."""
    credentials = await founded(own_settings, "own", tmp_path)
    async with served(make_app(own_settings)) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {credentials['admin_token']}")


async def deliver(settings: Settings) -> None:
    """Let a sealer and a worker do what is due."""
    await seal_all(settings.database_url)
    async with await open_pool(settings.database_url, size=4) as pool, Door(settings.database_url) as door:
        await Followers(pool, [NOTIFICATIONS]).work()
        await Deliveries(pool, door, settings).work()


async def subscribed(caller: Caller, hook: Receiver, **fields: Any) -> Any:
    answer = await caller.post(PATH, {**NEW, "url": f"{hook.url}/hook", **fields})
    assert answer.status == 201, answer.body
    hook.secrets = [answer.json["secret"]]
    return answer.json["subscription"]


async def test_a_subscription_is_created_changed_and_removed(own: Caller, hook: Receiver) -> None:
    made = await own.post(PATH, {**NEW, "url": hook.url, "token_name": "ci-*", "threshold": "7d", "scope": "a.b"})
    found = made.json["subscription"]
    path = f"{PATH}/{found['id']}"
    assert (made.status, made.headers["Location"], made.headers["ETag"]) == (201, path, '"1"')
    assert made.json["secret"].startswith("whsec_")
    assert (found["events"], found["status"], found["threshold"]) == (["created", "expiring"], "active", "7d")
    got = await own.get(path)
    assert (got.json, "secret" in got.json) == (found, False)
    assert [each["id"] for each in (await own.get(PATH)).json["items"]] == [found["id"]]
    owned = {"owner": {"type": "service", "id": "ci"}, "token_name": None, "threshold": "1d"}
    changed = await own.patch(path, owned, If_Match='"1"')
    assert (changed.json["owner"], changed.json["token_name"]) == (owned["owner"], None)
    assert (changed.json["scope"], changed.json["threshold"], changed.json["revision"]) == ("a.b", "1d", 2)
    assert (await own.patch(path, {"name": "x"}, If_Match='"1"')).problem == "stale-revision"
    assert (await own.post(f"{path}/pause")).json["status"] == "paused"
    assert (await own.post(f"{path}/test")).problem == "subscription-inactive"
    assert (await own.post(f"{path}/resume")).json["status"] == "active"
    assert (await own.delete(path, Idempotency_Key="k" * 30)).json["status"] == "removed"
    assert (await own.delete(path, Idempotency_Key="k" * 30)).json["status"] == "removed"
    for answer in (await own.get(path), await own.delete(path), await own.post(f"{path}/test")):
        assert answer.problem == "not-found"
    assert (await own.get(PATH)).json["items"] == []


async def test_the_secret_is_shown_again_under_its_key_alone(own: Caller, hook: Receiver) -> None:
    body = {**NEW, "url": hook.url}
    first, again = [await own.post(PATH, body, Idempotency_Key="k" * 30) for _ in range(2)]
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    path = f"{PATH}/{first.json['subscription']['id']}"
    rotated, repeated = [await own.post(f"{path}/rotate-secret", {}, Idempotency_Key="r" * 30) for _ in range(2)]
    assert rotated.json["secret"] == repeated.json["secret"] != first.json["secret"]
    assert rotated.json["subscription"]["previous_secret_until"] is not None
    assert (await own.post(f"{path}/rotate-secret", {"overlap": "1h"})).problem == "previous-secret-good"
    ended = await own.post(f"{path}/rotate-secret", {"overlap": "0s", "ends_previous": True})
    assert ended.json["subscription"]["previous_secret_until"] is None
    await own.delete(path)
    assert (await own.post(PATH, body, Idempotency_Key="k" * 30)).problem == "secret-no-longer-available"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": "https://169.254.169.254/latest/meta-data"}, "bad-target"),
        ({"url": "https://127.0.0.1/x"}, "bad-target"),
        ({"url": "https://localhost/x"}, "bad-target"),
        ({"url": "https://no-such-host.invalid/x"}, "bad-target"),
        ({"url": "http://192.88.98.1/x"}, "bad-target"),
        ({"url": "https://192.88.98.1:22/x"}, "bad-target"),
        ({"url": "https://a:b@192.88.98.1/x"}, "bad-target"),
        ({"url": "ftp://192.88.98.1/x"}, "bad-target"),
        ({"events": []}, "invalid-request"),
        ({"events": ["exchanged"]}, "invalid-request"),
        ({"threshold": "soon"}, "bad-duration"),
        ({"threshold": "0s"}, "bad-duration"),
        ({"scope": "a..b"}, "bad-scope"),
        ({"token_name": "\\a"}, "bad-text"),
        ({"owner": {"type": "user", "id": "4711"}}, "unknown-user"),
        ({"owner": {"type": "service", "id": "a b"}}, "bad-owner"),
        ({"name": ""}, "bad-text"),
    ],
)
async def test_an_invalid_subscription_is_refused(admin: Caller, fields: dict[str, Any], problem: str) -> None:
    answer = await admin.post(PATH, {**NEW, **fields})
    assert (answer.problem, (await admin.get(PATH)).json["items"]) == (problem, [])


async def test_an_account_has_only_so_many_subscriptions(own: Caller, hook: Receiver) -> None:
    answers = await asyncio.gather(*(own.post(PATH, {**NEW, "url": hook.url}) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [409] * 5
    assert {answer.problem for answer in answers if answer.status == 409} == {"too-many-subscriptions"}
    first = (await own.get(PATH, limit=2)).json
    rest = (await own.get(PATH, limit=2, cursor=first["next_cursor"])).json
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    await own.delete(f"{PATH}/{first['items'][0]['id']}")
    assert (await own.post(PATH, {**NEW, "url": hook.url})).status == 201


async def test_subscriptions_need_their_scopes_and_belong_to_their_account(admin: Caller, stranger: Caller) -> None:
    found = (await admin.post(PATH, NEW)).json["subscription"]
    path = f"{PATH}/{found['id']}"
    reader = await admin.holder("subscriptions.read")
    assert (await reader.get(path)).json == found
    for refused in (await reader.post(PATH, NEW), await reader.delete(path), await reader.post(f"{path}/test")):
        assert (refused.problem, refused.json["scope"]) == ("scope-missing", "subscriptions.update")
    other = await admin.holder("tokens.*")
    assert (await other.get(path)).json["scope"] == "subscriptions.read"
    asked: tuple[Answer, ...] = (
        await stranger.get(path),
        await stranger.patch(path, {"name": "x"}),
        await stranger.delete(path),
        await stranger.get(f"{path}/deliveries"),
        await stranger.post(f"{path}/rotate-secret", {}),
        await stranger.post(f"{path}/redeliver"),
    )
    assert {answer.problem for answer in asked} == {"not-found"}
    assert (await admin.get(f"{PATH}/x")).problem == "bad-reference"
    assert (await admin.delete(path)).status == 200


async def test_a_test_message_is_sent_and_its_delivery_shown(
    own: Caller, hook: Receiver, own_settings: Settings
) -> None:
    path = f"{PATH}/{(await subscribed(own, hook))['id']}"
    sent, again = [await own.post(f"{path}/test", {}, Idempotency_Key="k" * 30) for _ in range(2)]
    assert (sent.status, sent.json) == (202, again.json)
    assert (await own.get(f"{path}/deliveries/{sent.json['delivery']}")).problem == "not-found"
    await deliver(own_settings)
    shown = (await own.get(f"{path}/deliveries/{sent.json['delivery']}")).json
    assert (shown["type"], shown["status"], shown["response_status"], shown["excerpt"]) == (
        "test", "delivered", 200, "thanks",
    )  # fmt: skip
    assert hook.ids == [sent.json["delivery"]]


async def test_deliveries_are_listed_and_sent_again(own: Caller, hook: Receiver, own_settings: Settings) -> None:
    path = f"{PATH}/{(await subscribed(own, hook))['id']}"
    hook.replies = [status(410), status(200)]
    for name in "abc":
        await own.issue(name=name)
    await deliver(own_settings)
    page = (await own.get(f"{path}/deliveries", limit=2)).json
    rest = (await own.get(f"{path}/deliveries", limit=2, cursor=page["next_cursor"])).json
    shown = [*page["items"], *rest["items"]]
    assert (len(shown), rest["next_cursor"]) == (3, None)
    found = (await own.get(path)).json
    assert (found["status"], found["disabled_because"]) == ("disabled", "gone")
    assert (await own.post(f"{path}/redeliver")).problem == "subscription-inactive"
    await own.post(f"{path}/resume")
    (dead,) = (await own.get(f"{path}/deliveries", status="dead")).json["items"]
    assert (await own.post(f"{path}/redeliver", {})).status == 202
    await deliver(own_settings)
    assert (await own.get(f"{path}/deliveries/{dead['id']}")).json["status"] == "delivered"
    again = await own.post(f"{path}/deliveries/{dead['id']}/redeliver", {})
    assert again.status == 202
    await deliver(own_settings)
    assert hook.ids.count(dead["id"]) == 3
    unknown = "019ca8c1-7b40-7000-8000-3f2a9c51d7e4"
    assert (await own.post(f"{path}/deliveries/{unknown}/redeliver", {})).problem == "not-found"
    assert (await own.get(f"{path}/deliveries", status="lost")).problem == "invalid-request"


async def test_events_of_a_subscription_are_in_the_log_without_its_secret(own: Caller, hook: Receiver) -> None:
    made = (await own.post(PATH, {**NEW, "url": hook.url})).json
    told = (await own.get("/v1/account/events")).json["items"]
    (event,) = [each for each in told if each["subject"]["kind"] == "subscription"]
    assert (event["type"], event["private"]["url"]) == ("created", hook.url)
    assert made["secret"] not in str(told)
