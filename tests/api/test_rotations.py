"""After a rotation: callers of the previous secret are counted by network, and nobody ends the only good secret."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from msgspec.structs import replace

from api.rotations import HERE, NETS, SIXTH, THERE, rotated, rotation, use
from api.service import Answer, Caller, served
from counterfoil.settings import Settings
from counterfoil_api.application import make_app


@pytest_asyncio.fixture(scope="module")
async def behind_proxy(api_settings: Settings) -> AsyncIterator[ClientSession]:
    """The service behind a trusted proxy, which states the addresses of clients."""
    settings = replace(api_settings, trusted_proxies=("127.0.0.0/8",))
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        yield session


@pytest.fixture
def admin(behind_proxy: ClientSession, ours: dict[str, str]) -> Caller:
    return Caller(behind_proxy, f"Bearer {ours['admin_token']}")


async def test_the_networks_that_use_the_previous_secret_are_listed_without_addresses(admin: Caller) -> None:
    path, old, new = await rotated(admin)
    await use(old, HERE, times=2)
    await use(old, THERE)
    await use(old, SIXTH, times=3)
    await use(new, HERE)
    found = await rotation(admin, path, previous=6, new=True)
    networks = {each["network"]: (each["uses"], each["moved"]) for each in found["previous"]["networks"]}
    assert networks == {NETS[SIXTH]: (3, False), NETS[HERE]: (2, False), NETS[THERE]: (1, False)}, "it is too early"
    assert next(each["network"] for each in found["previous"]["networks"]) == NETS[SIXTH]
    assert found["previous"]["last_used_at"] is not None
    assert HERE not in str(found)
    assert SIXTH not in str(found)


async def test_of_three_callers_exactly_the_one_that_has_not_moved_is_marked(
    admin: Caller, api_settings: Settings
) -> None:
    path, old, new = await rotated(admin)
    for address in NETS:
        await use(old, address)
    await rotation(admin, path, previous=3)
    connection = await asyncpg.connect(api_settings.database_url)
    await connection.execute(
        "update rotation_use set last_at = last_at - interval '9h' where token_id = $1", UUID(path.rpartition("/")[2])
    )
    await connection.close()
    for moved in (HERE, THERE):
        await use(new, moved)
    await asyncio.sleep(1.1)  # until both uses are written
    found = await rotation(admin, path, previous=3, new=True)
    assert {each["network"]: each["moved"] for each in found["previous"]["networks"]} == {
        NETS[HERE]: True,
        NETS[THERE]: True,
        NETS[SIXTH]: False,
    }


async def test_only_uses_since_the_rotation_count(admin: Caller) -> None:
    issued = await admin.issue()
    path, old = f"/v1/tokens/{issued['token']['id']}", admin.with_token(issued["secret"])
    await use(old, times=5)
    before = (await admin.get(f"{path}/rotation")).json
    assert (before["rotated_at"], before["previous"], before["generation"]) == (None, None, 1)
    turned = (await admin.post(f"{path}/rotate", {"grace": "1h"})).json
    await use(old, times=2)
    found = await rotation(admin, path, previous=2)
    assert (found["previous"]["uses"], found["previous"]["hint"]) == (2, issued["token"]["hint"])
    assert found["previous"]["good_until"] == turned["token"]["previous_secret_until"]
    assert found["present"] == {"hint": turned["token"]["hint"], "used": False, "last_used_at": None}
    again = (await admin.post(f"{path}/rotate", {"grace": "1h", "ends_previous": True})).json
    await use(admin.with_token(turned["secret"]), THERE)
    found = await rotation(admin, path, previous=1)
    assert (found["previous"]["uses"], found["previous"]["networks"][0]["network"]) == (1, NETS[THERE])
    assert (found["present"]["hint"], found["generation"]) == (again["token"]["hint"], 3)


async def test_an_exchange_a_bearer_and_an_introspection_are_uses(admin: Caller) -> None:
    path, old, new = await rotated(admin)
    there = {"X-Forwarded-For": THERE}
    bearer = (await old.ask("POST", "/v1/exchange", b"{}", headers=there)).json["access_token"]
    assert (await rotation(admin, path, previous=1))["previous"]["uses"] == 1, "an exchange is one use"
    await use(admin.with_token(bearer), SIXTH)
    presented = old.credentials.removeprefix("Bearer ")
    assert (await admin.form("/v1/introspect", token=presented)).json["active"]
    found = await rotation(admin, path, previous=3)
    assert {each["network"]: each["uses"] for each in found["previous"]["networks"]} == {
        NETS[THERE]: 1, NETS[SIXTH]: 1, "127.0.0.0/24": 1,
    }  # fmt: skip
    assert (await new.ask("POST", "/v1/exchange", b"{}", headers=there)).status == 200
    assert (await rotation(admin, path, new=True))["present"]["used"]


async def test_a_confirmation_needs_a_use_of_the_new_secret(admin: Caller) -> None:
    path, old, new = await rotated(admin)
    await use(old)
    refused = await admin.post(f"{path}/rotation/confirm")
    assert (refused.status, refused.problem) == (409, "new-secret-unused")
    until = (await admin.get(path)).json["previous_secret_until"]
    assert datetime.fromisoformat(refused.json["until"]) == datetime.fromisoformat(until)
    await use(old)
    await use(new)
    await rotation(admin, path, new=True)
    confirmed = await admin.post(f"{path}/rotation/confirm")
    assert (confirmed.status, confirmed.json["previous_secret_until"]) == (200, None)
    assert (await old.get("/v1/tokens/self")).problem == "secret-retired"
    await use(new)
    event = (await admin.get(f"{path}/events", sort="-version", limit=1)).json["items"][0]
    assert (event["type"], event["data"].keys()) == ("rotation_confirmed", {"ended_early"})
    after = (await admin.get(f"{path}/rotation")).json
    assert (after["previous"]["good_until"], after["previous"]["uses"], after["present"]["used"]) == (None, 2, True)


async def test_a_caller_may_end_the_previous_secret_unproven_and_the_log_says_so(admin: Caller) -> None:
    path, old, _ = await rotated(admin)
    assert (await admin.post(f"{path}/rotation/confirm", {"even_if_unused": True})).status == 200
    assert (await old.get("/v1/tokens/self")).status == 401
    event = (await admin.get(f"{path}/events", sort="-version", limit=1)).json["items"][0]
    assert event["data"]["unused"] is True


async def test_a_token_confirms_its_own_rotation_with_its_new_secret_alone(admin: Caller) -> None:
    issued = await admin.issue(scopes=["self.rotate"])
    path, old = f"/v1/tokens/{issued['token']['id']}", admin.with_token(issued["secret"])
    new = admin.with_token((await old.post("/v1/tokens/self/rotate", {"grace": "1h"})).json["secret"])
    for body in ({}, {"even_if_unused": True}):
        assert (await old.post("/v1/tokens/self/rotation/confirm", body)).problem == "beyond-caller"
    assert (await old.post("/v1/tokens/self/rotation/extend", {"grace": "9d"})).problem == "beyond-caller"
    assert (await new.post("/v1/tokens/self/rotation/confirm")).status == 200, "the call itself proves it"
    assert (await admin.get(path)).json["previous_secret_until"] is None


async def test_of_two_confirmations_at_once_one_is_written(admin: Caller) -> None:
    path, _, new = await rotated(admin)
    await use(new)
    await rotation(admin, path, new=True)
    answers = await asyncio.gather(*(admin.post(f"{path}/rotation/confirm") for _ in range(4)))
    assert {answer.status for answer in answers} == {200}
    types = [each["type"] for each in (await admin.get(f"{path}/events")).json["items"]]
    assert types.count("rotation_confirmed") == 1
    tag = answers[0].headers["ETag"]
    assert {answer.headers["ETag"] for answer in answers} == {tag}


async def test_of_a_confirmation_and_an_extension_at_once_the_secret_follows_the_last_state(admin: Caller) -> None:
    path, old, _ = await rotated(admin)
    confirming, extending = await asyncio.gather(
        admin.post(f"{path}/rotation/confirm", {"even_if_unused": True}),
        admin.post(f"{path}/rotation/extend", {"grace": "2d"}),
    )
    assert confirming.status == 200
    assert extending.status in (200, 409)
    assert (await old.get("/v1/tokens/self")).status == 401, "a confirmed secret never comes back"


async def test_an_extension_moves_the_end_and_the_previous_secret_goes_on(admin: Caller) -> None:
    path, old, _ = await rotated(admin, "2s")
    extended = await admin.post(f"{path}/rotation/extend", {"grace": "1h"})
    until = datetime.fromisoformat(extended.json["previous_secret_until"])
    assert timedelta(minutes=59) < until - datetime.now(UTC) <= timedelta(hours=1)
    await asyncio.sleep(2.1)
    await use(old)
    event = (await admin.get(f"{path}/events", sort="-version", limit=1)).json["items"][0]
    assert (event["type"], event["data"]) == (
        "grace_extended", {"previous_until": extended.json["previous_secret_until"]}
    )  # fmt: skip
    for grace in ("5m", "367d", "0s", "soon", "forever"):
        refused = await admin.post(f"{path}/rotation/extend", {"grace": grace})
        assert (refused.problem, refused.json["field"]) == ("bad-duration", "grace")


async def test_after_the_grace_nothing_brings_the_previous_secret_back(admin: Caller) -> None:
    path, old, _ = await rotated(admin, "1s")
    until = datetime.fromisoformat((await admin.get(path)).json["previous_secret_until"])
    await asyncio.sleep(max(0.0, (until - datetime.now(UTC)) / timedelta(seconds=1)) + 0.2)
    assert (await admin.post(f"{path}/rotation/extend", {"grace": "1h"})).problem == "previous-secret-ended"
    assert (await old.get("/v1/tokens/self")).problem == "secret-retired"
    late = await admin.post(f"{path}/rotation/confirm")
    assert late.status == 200, "what it asks for is so already"
    types = [each["type"] for each in (await admin.get(f"{path}/events")).json["items"]]
    assert types == ["created", "rotated"]


async def test_a_token_that_was_never_rotated_is_refused(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue())['token']['id']}"
    for call, body in (("confirm", {"even_if_unused": True}), ("extend", {"grace": "1h"})):
        assert (await admin.post(f"{path}/rotation/{call}", body)).problem == "previous-secret-ended"


async def test_a_suspended_and_a_revoked_token(admin: Caller) -> None:
    path, _, _ = await rotated(admin)
    await admin.post(f"{path}/suspend")
    assert (await admin.post(f"{path}/rotation/confirm")).problem == "new-secret-unused"
    extended = await admin.post(f"{path}/rotation/extend", {"grace": "1d"})
    assert (extended.json["status"], extended.status) == ("suspended", 200)
    assert (await admin.get(f"{path}/rotation")).json["previous"]["good_until"] is not None, "after a resumption"
    assert (await admin.post(f"{path}/rotation/confirm", {"even_if_unused": True})).json["status"] == "suspended"
    await admin.post(f"{path}/revoke", {"reason": "done"})
    for call, body in (("confirm", {}), ("extend", {"grace": "1h"})):
        assert (await admin.post(f"{path}/rotation/{call}", body)).problem == "already-revoked"


async def test_another_tenant_and_a_caller_without_the_scope_see_and_change_nothing(
    admin: Caller, behind_proxy: ClientSession, theirs: dict[str, str]
) -> None:
    path, _, _ = await rotated(admin)
    stranger = Caller(behind_proxy, f"Bearer {theirs['admin_token']}")
    calls: list[tuple[str, object]] = [("confirm", {"even_if_unused": True}), ("extend", {"grace": "1d"})]
    assert (await stranger.get(f"{path}/rotation")).problem == "not-found"
    for call, body in calls:
        assert (await stranger.post(f"{path}/rotation/{call}", body)).problem == "not-found"
    reader = await admin.holder("tokens.read")
    assert (await reader.get(f"{path}/rotation")).status == 200
    assert (await (await admin.holder("a.b")).get(f"{path}/rotation")).problem == "scope-missing"
    for call, body in calls:
        assert (await reader.post(f"{path}/rotation/{call}", body)).problem == "scope-missing"


async def test_a_changed_revision_and_a_repeated_key_are_treated_as_for_other_changes(admin: Caller) -> None:
    path, _, _ = await rotated(admin)
    tag = (await admin.get(f"{path}/rotation")).headers["ETag"]
    key = "extend-a-grace-exactly-once-0001"

    async def extend(grace: str, **headers: str) -> Answer:
        return await admin.post(f"{path}/rotation/extend", {"grace": grace}, **headers)

    once = await extend("20h", If_Match=tag, Idempotency_Key=key)
    assert once.status == 200
    assert (await extend("20h", If_Match=tag, Idempotency_Key=key)).json == once.json
    assert (await extend("21h", If_Match=tag, Idempotency_Key=key)).problem == "key-reused"
    assert (await extend("30h", If_Match=tag)).problem == "stale-revision"
    stale = await admin.post(f"{path}/rotation/confirm", {"even_if_unused": True}, If_Match=tag)
    assert stale.problem == "stale-revision"
