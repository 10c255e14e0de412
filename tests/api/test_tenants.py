"""Resources of another account cannot be distinguished from missing ones."""

import asyncio

from api.service import Answer, Caller


def shown(answer: Answer) -> tuple[object, ...]:
    """All of an answer except its time-dependent parts."""
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in ("date", "x-request-id")}
    return answer.status, headers, answer.body


async def test_lists_are_limited_to_the_account(admin: Caller, stranger: Caller) -> None:
    token = (await admin.issue(name="only ours"))["token"]
    assert (await stranger.get("/v1/tokens", name="only ours")).json["items"] == []
    assert token["id"] in [each["id"] for each in (await admin.get("/v1/tokens", name="only ours")).json["items"]]


async def test_a_cursor_is_accepted_only_in_its_own_account(admin: Caller, stranger: Caller) -> None:
    for _ in range(2):
        await admin.issue(name="paged")
        await stranger.issue(name="paged")
    cursor = (await admin.get("/v1/tokens", name="paged", limit=1)).json["next_cursor"]
    assert (await stranger.get("/v1/tokens", name="paged", limit=1, cursor=cursor)).problem == "bad-cursor"
    assert (await admin.get("/v1/tokens", name="paged", limit=1, cursor=cursor)).status == 200


async def test_an_idempotency_key_is_independent_of_other_accounts(admin: Caller, stranger: Caller) -> None:
    key = "the-same-key-in-both-accounts"
    ours = await admin.post("/v1/tokens", {"name": "x"}, Idempotency_Key=key)
    theirs = await stranger.post("/v1/tokens", {"name": "y"}, Idempotency_Key=key)
    assert (ours.status, theirs.status) == (201, 201)
    assert ours.json["token"]["account"] != theirs.json["token"]["account"]


async def test_presenting_a_secret_to_another_account_is_no_use(admin: Caller, stranger: Caller) -> None:
    issued = await admin.issue(scopes=["tokens.read"])
    elsewhere = await admin.with_token(issued["secret"]).post("/v1/exchange", {"audience": "https://other.example.org"})
    bearer, path = elsewhere.json["access_token"], f"/v1/tokens/{issued['token']['id']}"
    exchanged_at = (await admin.get(path)).json["last_used_at"]
    for presented in (issued["secret"], bearer):
        assert (await stranger.form("/v1/introspect", token=presented)).json == {"active": False}
    await asyncio.sleep(1.2)  # uses are written once a second
    assert (await admin.get(path)).json["last_used_at"] == exchanged_at
