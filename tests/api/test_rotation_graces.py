"""At most two secrets of a token are good at once, and none ends before its stated end unless the caller says so."""

import asyncio
from datetime import datetime, timedelta

from api.service import Caller


async def opens(*callers: Caller) -> list[int]:
    return [(await each.get("/v1/tokens/self")).status for each in callers]


async def test_the_event_has_the_intended_end_of_the_secret_that_it_ended(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue())['token']['id']}"
    turned = (await admin.post(f"{path}/rotate", {"grace": "1d"})).json
    again = (await admin.post(f"{path}/rotate", {"grace": "1h", "ends_previous": True})).json
    event = (await admin.get(f"{path}/events")).json["items"][-1]
    assert (event["type"], event["data"]["ended_early"]) == ("rotated", again["ended_early"])
    assert again["ended_early"] == turned["token"]["previous_secret_until"]


async def test_a_zero_grace_ends_every_older_secret(admin: Caller) -> None:
    issued = await admin.issue()
    path = f"/v1/tokens/{issued['token']['id']}/rotate"
    turned = (await admin.post(path, {"grace": "1d"})).json
    last = (await admin.post(path, {"grace": "0s"})).json
    assert last["ended_early"] == turned["token"]["previous_secret_until"]
    assert await opens(*(admin.with_token(each["secret"]) for each in (issued, turned, last))) == [401, 401, 200]


async def test_after_the_stated_end_a_rotation_needs_no_statement(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue())['token']['id']}/rotate"
    turned = (await admin.post(path, {"grace": "1s"})).json
    until = datetime.fromisoformat(turned["token"]["previous_secret_until"])
    await asyncio.sleep(max(0.0, (until - datetime.now(until.tzinfo)) / timedelta(seconds=1)) + 0.2)
    again = await admin.post(path, {"grace": "1h"})
    assert (again.status, "ended_early" in again.json) == (200, False)


async def test_a_repeat_with_its_key_gets_the_same_answer_within_the_grace(admin: Caller) -> None:
    path, key = f"/v1/tokens/{(await admin.issue())['token']['id']}/rotate", "rotation-within-a-grace-0001"
    once = await admin.post(path, {"grace": "1h"}, Idempotency_Key=key)
    assert (await admin.post(path, {"grace": "1h"}, Idempotency_Key=key)).json == once.json
    stated, key = {"grace": "1h", "ends_previous": True}, key[::-1]
    twice = await admin.post(path, stated, Idempotency_Key=key)
    assert (await admin.post(path, stated, Idempotency_Key=key)).json == twice.json
    assert twice.json["ended_early"] == once.json["token"]["previous_secret_until"]


async def test_of_two_simultaneous_rotations_within_a_grace_one_is_refused(admin: Caller) -> None:
    path = f"/v1/tokens/{(await admin.issue())['token']['id']}/rotate"
    answers = await asyncio.gather(*(admin.post(path, {"grace": "1h"}) for _ in range(2)))
    assert sorted(answer.status for answer in answers) == [200, 409]
