"""Token operations over HTTP."""

import asyncio
from datetime import datetime, timedelta
from secrets import token_urlsafe
from uuid import uuid4

import pytest

from api.service import Caller

KEY = "0123456789abcdef012345"
REPLAYED = "Idempotency-Replayed"


async def test_a_created_token_works_at_once_and_its_secret_is_shown_once(admin: Caller) -> None:
    answer = await admin.post(
        "/v1/tokens", {"name": "first", "scopes": ["tokens.read"], "metadata": {"a": "b"}, "lifetime": "90d"}
    )
    issued = answer.json
    token = issued["token"]
    assert answer.status == 201
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Location"] == f"/v1/tokens/{token['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (token["status"], token["generation"], token["lifetime"]) == ("active", 1, "90d")
    assert token["owner"]["type"] == "user"
    holder = admin.with_token(issued["secret"])
    seen = await holder.get("/v1/tokens/self")
    assert seen.json["id"] == token["id"]
    assert issued["secret"].encode() not in seen.body + (await admin.get("/v1/tokens")).body


async def test_a_token_without_scopes_may_only_read_and_revoke_itself(admin: Caller) -> None:
    holder = await admin.holder()
    assert (await holder.get("/v1/tokens")).problem == "scope-missing"
    assert (await holder.post("/v1/tokens", {"name": "x"})).status == 403
    assert (await holder.post("/v1/tokens/self/rotate", {"grace": "0s"})).status == 403
    assert (await holder.get("/v1/tokens/self")).status == 200
    assert (await holder.post("/v1/tokens/self/revoke", {"reason": "done"})).json["status"] == "revoked"
    assert (await holder.get("/v1/tokens/self")).problem == "token-revoked"


async def test_a_caller_gives_no_more_than_they_hold(admin: Caller) -> None:
    holder = await admin.holder("tokens.create", "archive.read", lifetime="1h")
    short = {"name": "x", "lifetime": "30m"}
    assert (await holder.post("/v1/tokens", {**short, "scopes": ["archive.read"]})).status == 201
    assert (await holder.post("/v1/tokens", {**short, "scopes": ["archive.*"]})).problem == "beyond-caller"
    assert (await holder.post("/v1/tokens", {"name": "x"})).problem == "beyond-caller"
    for nothing in ({**short}, {**short, "scopes": []}):
        assert (await holder.post("/v1/tokens", nothing)).json["token"]["scopes"] == []
    for nonsense in (None, "all", ["*"], ["ALL "], [""]):
        assert (await holder.post("/v1/tokens", {**short, "scopes": nonsense})).status == 422


async def test_a_token_is_found_by_id_number_and_self(admin: Caller) -> None:
    issued = await admin.issue()
    token = issued["token"]
    by_id = await admin.get(f"/v1/tokens/{token['id']}")
    assert (await admin.get(f"/v1/tokens/{token['number']}")).json["id"] == by_id.json["id"] == token["id"]
    for ref in (str(uuid4()), "999999999999", "9999999999999999999"):
        assert (await admin.get(f"/v1/tokens/{ref}")).problem == "not-found"
    for ref in ("0", "-1", "x", "%00", "%ff", token["id"].replace("-", "")):
        assert (await admin.get(f"/v1/tokens/{ref}")).problem == "bad-reference"


async def test_changes_require_the_revision_that_was_read(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue(scopes=['a.b']))['token']['id']}"
    changed = await admin.patch(path, {"name": "new", "scopes": []}, If_Match='"1"')
    assert (changed.json["name"], changed.json["scopes"], changed.headers["ETag"]) == ("new", [], '"2"')
    stale = await admin.patch(path, {"name": "newer"}, If_Match='"1"')
    assert (stale.problem, stale.status) == ("stale-revision", 412)
    assert (await admin.patch(path, {"name": "newer"}, If_Match="*")).json["revision"] == 3
    assert (await admin.patch(path, {"name": "newer"}, If_Match='"1", "3"')).json["revision"] == 3
    assert (await admin.patch(path, {}, If_Match='"foreign"')).status == 412


async def test_renewing_moves_the_expiry_and_keeps_the_secret(admin: Caller) -> None:
    issued = await admin.issue(lifetime="1h")
    path, holder = f"/v1/tokens/{issued['token']['id']}", admin.with_token(issued["secret"])
    renewed = (await admin.post(path + "/renew", {"lifetime": "2h"})).json
    assert renewed["expires_at"] > issued["token"]["expires_at"]
    assert renewed["generation"] == 1
    assert (await admin.post(path + "/renew")).json["lifetime"] == "2h"
    assert (await holder.get("/v1/tokens/self")).status == 200
    assert (await admin.post(path + "/renew", {"lifetime": "1h", "expires_at": "2030-01-01T00:00:00Z"})).status == 422
    assert (await admin.post(f"/v1/tokens/{(await admin.issue())['token']['id']}/renew")).status == 409


async def test_a_token_cannot_renew_itself(admin: Caller) -> None:
    holder = await admin.holder("tokens.renew", lifetime="1h")
    assert (await holder.post("/v1/tokens/self/renew", {"lifetime": "2h"})).problem == "renews-itself"


async def test_the_shortest_grace_is_one_second(admin: Caller) -> None:
    issued = await admin.issue()
    rotated = (await admin.post(f"/v1/tokens/{issued['token']['id']}/rotate", {"grace": "1ns"})).json["token"]
    until, at = (datetime.fromisoformat(rotated[name]) for name in ("previous_secret_until", "updated_at"))
    assert until - at == timedelta(seconds=1)


async def test_a_rotation_reports_its_grace(admin: Caller) -> None:
    issued = await admin.issue()
    path, first = f"/v1/tokens/{issued['token']['id']}/rotate", admin.with_token(issued["secret"])
    assert (await admin.post(path)).status == 422
    missing = (await admin.post(path, {})).json
    says = "`grace` is missing. How long the previous secret is still accepted, such as 24h; 0s ends it at once."
    assert (missing["field"], missing["detail"]) == ("grace", says)
    for unknown in ("soon", "forever"):
        refused = await admin.post(path, {"grace": unknown})
        assert (refused.problem, refused.json["field"]) == ("bad-duration", "grace")
        assert "such as 24h, or 0s" in refused.json["detail"]
    assert (await admin.post(path, {"grace": "0s", "lifetime": "1h"})).problem == "lifetime-unwanted"
    second = admin.with_token((await admin.post(path, {"grace": "1h"})).json["secret"])
    assert [(await each.get("/v1/tokens/self")).status for each in (first, second)] == [200, 200]
    third = admin.with_token((await admin.post(path, {"grace": "0s"})).json["secret"])
    assert [(await each.get("/v1/tokens/self")).status for each in (first, second, third)] == [401, 401, 200]


async def test_a_rotation_that_ends_a_secret_early_must_say_so(admin: Caller) -> None:
    issued = await admin.issue()
    path, first = f"/v1/tokens/{issued['token']['id']}/rotate", admin.with_token(issued["secret"])
    began = (await admin.post(path, {"grace": "1h"})).json
    assert "ended_early" not in began
    until, second = began["token"]["previous_secret_until"], admin.with_token(began["secret"])
    refused = await admin.post(path, {"grace": "1h"})
    assert (refused.status, refused.problem) == (409, "previous-secret-good")
    assert until[:19] in refused.json["until"]
    assert "ends_previous" in refused.json["detail"]
    assert [(await each.get("/v1/tokens/self")).status for each in (first, second)] == [200, 200]
    stated = (await admin.post(path, {"grace": "1h", "ends_previous": True})).json
    assert stated["ended_early"] == until
    third = admin.with_token(stated["secret"])
    assert [(await each.get("/v1/tokens/self")).status for each in (first, second, third)] == [401, 200, 200]
    alone = (await admin.post(path, {"grace": "0s"})).json
    assert alone["ended_early"] == stated["token"]["previous_secret_until"]


async def test_an_old_secret_is_refused_as_replaced(admin: Caller) -> None:
    issued = await admin.issue()
    second = admin.with_token(issued["secret"])
    await admin.post(f"/v1/tokens/{issued['token']['id']}/rotate", {"grace": "0s"})
    assert (await second.get("/v1/tokens/self")).problem == "secret-retired"


async def test_a_token_may_hold_only_the_right_to_rotate_itself(admin: Caller) -> None:
    holder = await admin.holder("self.rotate")
    other = (await admin.issue())["token"]["id"]
    assert (await holder.post(f"/v1/tokens/{other}/rotate", {"grace": "0s"})).problem == "scope-missing"
    assert (await holder.post("/v1/tokens/self/rotate", {"grace": "0s"})).status == 200


async def test_a_suspended_token_is_refused_until_it_is_resumed(admin: Caller) -> None:
    issued = await admin.issue()
    path, holder = f"/v1/tokens/{issued['token']['id']}", admin.with_token(issued["secret"])
    suspended = (await admin.post(path + "/suspend", {"reason": "odd traffic"})).json
    assert (suspended["status"], suspended["reason"]) == ("suspended", "odd traffic")
    assert (await holder.get("/v1/tokens/self")).problem == "token-suspended"
    assert (await admin.post(path + "/resume")).json["status"] == "active"
    assert (await holder.get("/v1/tokens/self")).status == 200


async def test_revocation_is_permanent_and_revoking_twice_changes_nothing(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue(lifetime='1h'))['token']['id']}"
    assert (await admin.post(path + "/revoke")).status == 422
    once = (await admin.post(path + "/revoke", {"reason": "leaked"})).json
    again = (await admin.post(path + "/revoke", {"reason": "again"})).json
    assert (again["reason"], again["revision"]) == ("leaked", once["revision"])
    for verb, body in (("renew", {}), ("rotate", {"grace": "0s"}), ("suspend", {}), ("resume", {})):
        assert (await admin.post(f"{path}/{verb}", body)).problem == "already-revoked"
    assert (await admin.patch(path, {"name": "x"})).problem == "already-revoked"


async def test_an_expired_token_is_refused_and_revived_only_with_a_lifetime(admin: Caller) -> None:
    issued = await admin.issue(lifetime="1us")
    path, holder = f"/v1/tokens/{issued['token']['id']}", admin.with_token(issued["secret"])
    assert (await admin.get(path)).json["status"] == "expired"
    assert (await holder.get("/v1/tokens/self")).problem == "token-expired"
    assert (await admin.post(path + "/rotate", {"grace": "1h"})).problem == "lifetime-required"
    rotated = (await admin.post(path + "/rotate", {"grace": "1h", "lifetime": "1h"})).json
    assert (await admin.with_token(rotated["secret"]).get("/v1/tokens/self")).status == 200
    assert (await holder.get("/v1/tokens/self")).status == 401


async def test_a_clone_equals_its_original_except_for_the_secret(admin: Caller) -> None:
    original = await admin.issue(name="one", scopes=["a.b"], metadata={"k": "v"}, lifetime="1h")
    clone = await admin.post(f"/v1/tokens/{original['token']['id']}/clone", {"name": "two"})
    token = clone.json["token"]
    assert clone.status == 201
    assert (token["name"], token["scopes"], token["metadata"], token["lifetime"]) == ("two", ["a.b"], {"k": "v"}, "1h")
    assert clone.json["secret"] != original["secret"]
    small = await admin.holder("tokens.create", "tokens.read")
    assert (await small.post(f"/v1/tokens/{original['token']['id']}/clone")).problem == "beyond-caller"


@pytest.mark.parametrize("verb", ["create", "rotate", "clone"])
async def test_a_repeated_request_gets_the_same_secret_and_happens_once(admin: Caller, verb: str) -> None:
    token = (await admin.issue())["token"]["id"]
    path = "/v1/tokens" if verb == "create" else f"/v1/tokens/{token}/{verb}"
    body = {"create": {"name": "x"}, "rotate": {"grace": "1h"}, "clone": {}}[verb]
    key = f"{KEY}-{verb}"
    first = await admin.post(path, body, Idempotency_Key=key)
    again = await admin.post(path, body, Idempotency_Key=key)
    assert first.status in (200, 201)
    assert (again.status, again.json) == (first.status, first.json)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert [each.headers.get(REPLAYED) for each in (first, again)] == [None, "true"]
    assert (await admin.get(f"/v1/tokens/{first.json['token']['id']}/events")).json["next_cursor"] is None
    other = await admin.post(path, {**body, "lifetime": "1h"}, Idempotency_Key=key)
    assert (other.problem, other.status) == ("key-reused", 422)
    assert (await admin.post(path, body, Idempotency_Key="too-short")).problem == "key-too-short"


async def test_a_token_that_rotated_itself_still_gets_the_lost_reply(admin: Caller) -> None:
    holder = await admin.holder("self.rotate")
    key, now = "f3b1c0de-0000-4000-8000-00000000cafe", {"grace": "0s"}
    first = await holder.post("/v1/tokens/self/rotate", now, Idempotency_Key=key)
    again = await holder.post("/v1/tokens/self/rotate", now, Idempotency_Key=key)
    assert (first.status, again.status) == (200, 200)
    assert again.json == first.json
    assert again.headers["ETag"] == first.headers["ETag"]
    assert [each.headers.get(REPLAYED) for each in (first, again)] == [None, "true"]
    assert first.json["token"]["generation"] == 2
    # The old secret gets only this reply: not without the key, not for more, not elsewhere.
    assert (await holder.post("/v1/tokens/self/rotate", now)).problem == "secret-retired"
    assert (await holder.post("/v1/tokens/self/rotate", now, Idempotency_Key=key[::-1])).problem == "secret-retired"
    more = await holder.post("/v1/tokens/self/rotate", {"grace": "1h"}, Idempotency_Key=key)
    assert more.problem == "key-reused"
    assert (await holder.get("/v1/tokens/self")).problem == "secret-retired"


async def test_a_repeated_change_gets_the_same_answer(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue())['token']['id']}"
    first = await admin.patch(path, {"name": "x"}, Idempotency_Key="k")
    await admin.patch(path, {"name": "y"})
    again = await admin.patch(path, {"name": "x"}, Idempotency_Key="k")
    assert (again.json, again.headers["ETag"]) == (first.json, first.headers["ETag"])
    assert [each.headers.get(REPLAYED) for each in (first, again)] == [None, "true"]
    assert REPLAYED not in (await admin.patch(path, {"name": "y"})).headers
    assert (await admin.get(path)).json["name"] == "y"


async def test_a_rotation_keeps_the_time_of_the_last_use(admin: Caller) -> None:
    issued = await admin.issue(scopes=["own.read"])
    path = f"/v1/tokens/{issued['token']['id']}"
    assert (await admin.with_token(issued["secret"]).get("/v1/tokens/self")).status == 200
    async with asyncio.timeout(10):
        while (used := (await admin.get(path)).json["last_used_at"]) is None:  # noqa: ASYNC110 - within a second it is written
            await asyncio.sleep(0.1)
    assert (await admin.post(f"{path}/rotate", {"grace": "1h"})).json["token"]["last_used_at"] == used


async def test_no_call_sets_an_expiry_in_the_past(admin: Caller) -> None:
    past = "2020-01-01T00:00:00Z"
    token = (await admin.issue())["token"]
    gone = (await admin.issue(lifetime="1us"))["token"]
    path, gone_path = f"/v1/tokens/{token['id']}", f"/v1/tokens/{gone['id']}"
    for refused in (
        await admin.post("/v1/tokens", {"name": "dead", "expires_at": past}),
        await admin.post(f"{path}/clone", {"expires_at": past}),
        await admin.post(f"{path}/renew", {"expires_at": past}),
        await admin.post(f"{gone_path}/renew", {"expires_at": past}),
        await admin.post(f"{gone_path}/rotate", {"grace": "0s", "expires_at": past}),
    ):
        assert (refused.status, refused.problem, refused.json["field"]) == (422, "bad-expiry", "expires_at")
        assert "2020-01-01T00:00:00+00:00 has passed" in refused.json["detail"]
    assert (await admin.get(path)).json["revision"] == 1
    imported = {"name": "dead elsewhere", "secret": token_urlsafe(), "expires_at": past}
    (reported,) = (await admin.post("/v1/tokens/import", {"tokens": [imported]})).json["results"]
    assert reported["problem"]["type"].endswith("bad-expiry")
    assert (await admin.get("/v1/tokens", name="dead*")).json["items"] == []
