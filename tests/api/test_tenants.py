"""Another account's things cannot be told from things that never were."""

import asyncio
from uuid import uuid4

import pytest

from api.service import Answer, Caller

CALLS = [
    ("GET", "/v1/tokens/{ref}", None),
    ("GET", "/v1/tokens/{ref}?as_of=1", None),
    ("GET", "/v1/tokens/{ref}/events", None),
    ("PATCH", "/v1/tokens/{ref}", b'{"name":"x"}'),
    ("POST", "/v1/tokens/{ref}/renew", b'{"duration":"1h"}'),
    ("POST", "/v1/tokens/{ref}/rotate", b'{"grace":"0s"}'),
    ("POST", "/v1/tokens/{ref}/suspend", b"{}"),
    ("POST", "/v1/tokens/{ref}/resume", b"{}"),
    ("POST", "/v1/tokens/{ref}/clone", b"{}"),
    ("POST", "/v1/tokens/{ref}/revoke", b'{"reason":"x"}'),
]


def shown(answer: Answer) -> tuple[object, ...]:
    """All that a caller can see of an answer, but for what is never the same twice."""
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in ("date", "x-request-id")}
    return answer.status, headers, answer.body


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]}")
@pytest.mark.parametrize("name", ["id", "number"])
async def test_a_foreign_token_is_answered_like_one_that_never_was(
    admin: Caller, stranger: Caller, call: tuple[str, str, bytes | None], name: str
) -> None:
    method, path, body = call
    token = (await admin.issue(duration="1h"))["token"]
    never = {"id": str(uuid4()), "number": "987654321"}[name]
    for headers in ({}, {"If-Match": '"1"'}, {"Idempotency-Key": f"{uuid4()}"}):
        foreign = await stranger.ask(method, path.format(ref=token[name]), body, headers=headers)
        random = await stranger.ask(method, path.format(ref=never), body, headers=headers)
        assert foreign.status == 404
        assert shown(foreign) == shown(random)
    assert (await admin.get(f"/v1/tokens/{token['id']}")).json == token


async def test_lists_end_at_the_account(admin: Caller, stranger: Caller) -> None:
    token = (await admin.issue(name="only ours"))["token"]
    assert (await stranger.get("/v1/tokens", name="only ours")).json["items"] == []
    assert token["id"] in [each["id"] for each in (await admin.get("/v1/tokens", name="only ours")).json["items"]]


async def test_a_cursor_is_good_in_its_own_account_alone(admin: Caller, stranger: Caller) -> None:
    for _ in range(2):
        await admin.issue(name="paged")
        await stranger.issue(name="paged")
    cursor = (await admin.get("/v1/tokens", name="paged", limit=1)).json["next_cursor"]
    assert (await stranger.get("/v1/tokens", name="paged", limit=1, cursor=cursor)).problem == "bad-cursor"
    assert (await admin.get("/v1/tokens", name="paged", limit=1, cursor=cursor)).status == 200


async def test_a_key_of_one_account_means_nothing_in_another(admin: Caller, stranger: Caller) -> None:
    key = "the-same-key-in-both-accounts"
    ours = await admin.post("/v1/tokens", {"name": "x"}, Idempotency_Key=key)
    theirs = await stranger.post("/v1/tokens", {"name": "y"}, Idempotency_Key=key)
    assert (ours.status, theirs.status) == (201, 201)
    assert ours.json["token"]["account"] != theirs.json["token"]["account"]


async def test_a_verification_that_was_refused_is_no_use(admin: Caller, stranger: Caller) -> None:
    issued = await admin.issue(scopes=["tokens.read"])
    elsewhere = await admin.with_token(issued["secret"]).post("/v1/exchange", {"audience": "https://other.example.org"})
    bearer, path = elsewhere.json["access_token"], f"/v1/tokens/{issued['token']['id']}"
    exchanged_at = (await admin.get(path)).json["last_used_at"]
    for presented in (issued["secret"], bearer):
        assert (await stranger.form("/v1/introspect", token=presented)).json == {"active": False}
    assert (await admin.with_token(bearer).get("/v1/tokens/self")).status == 401
    await asyncio.sleep(1.2)  # uses are written once a second
    assert (await admin.get(path)).json["last_used_at"] == exchanged_at
