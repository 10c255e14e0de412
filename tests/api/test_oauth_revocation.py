"""RFC 7009: a token is revoked by its secret, and a caller learns nothing about secrets of others."""

from typing import Any

import pytest

from api.oauth import anybody, as_client, bearer, error
from api.service import Caller

REVOKE = "/v1/oauth/revoke"


async def active(admin: Caller, secret: str) -> bool:
    return bool((await admin.form("/v1/introspect", token=secret)).json["active"])


async def last_event(admin: Caller, issued: Any) -> Any:
    return (await admin.get(f"/v1/tokens/{issued['token']['id']}/events", sort="-version")).json["items"][0]


async def test_a_caller_with_the_scope_revokes_a_token_by_its_secret(admin: Caller) -> None:
    issued, client = await admin.issue(), await admin.issue(scopes=["tokens.revoke"])
    answer = await as_client(admin, client).form(REVOKE, token=issued["secret"], token_type_hint="access_token", x="y")
    assert (answer.status, answer.json, answer.headers["Cache-Control"]) == (200, {}, "no-store")
    assert not await active(admin, issued["secret"])
    event = await last_event(admin, issued)
    assert (event["type"], event["by"]["id"]) == ("revoked", client["token"]["id"])
    assert event["private"]["reason"] == "Revoked by its secret (RFC 7009)."


async def test_a_token_revokes_itself_without_any_scope(admin: Caller) -> None:
    issued = await admin.issue()
    assert (await as_client(admin, issued).form(REVOKE, token=issued["secret"])).status == 200
    assert not await active(admin, issued["secret"])
    assert error(await as_client(admin, issued).form(REVOKE, token=issued["secret"])) == (401, "invalid_client")


async def test_an_owner_revokes_their_own_tokens_and_no_others(admin: Caller) -> None:
    ada = {"type": "service", "id": "ada"}
    caller = await admin.holder("own.revoke", owner=ada)
    own, other = await admin.issue(owner=ada), await admin.issue(owner={"type": "service", "id": "bob"})
    for issued in (own, other):
        assert (await caller.form(REVOKE, token=issued["secret"])).json == {}
    assert (await active(admin, own["secret"]), await active(admin, other["secret"])) == (False, True)


async def test_unknown_secrets_get_the_same_answer(admin: Caller, stranger: Caller) -> None:
    theirs, dead, replaced = await stranger.issue(), await admin.issue(), await admin.issue()
    await admin.post(f"/v1/tokens/{dead['token']['id']}/revoke", {"reason": "x"})
    rotated = (await admin.post(f"/v1/tokens/{replaced['token']['id']}/rotate", {"grace": "0s"})).json
    texts = (theirs["secret"], dead["secret"], replaced["secret"], theirs["secret"][:-1] + "!", "x", "a b", "é")
    answers = [await admin.form(REVOKE, token=text) for text in texts]
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"{}")}
    assert await active(stranger, theirs["secret"])
    assert await active(admin, rotated["secret"]), "who shows a secret that was replaced ends nothing"
    assert (await last_event(admin, dead))["private"]["reason"] == "x"


@pytest.mark.parametrize("state", ["suspended", "in grace", "expired"])
async def test_secrets_that_may_become_good_again_are_revoked_too(admin: Caller, state: str) -> None:
    issued = await admin.issue(**({"lifetime": "1us"} if state == "expired" else {}))
    path = f"/v1/tokens/{issued['token']['id']}"
    if state == "suspended":
        await admin.post(f"{path}/suspend")
    if state == "in grace":
        await admin.post(f"{path}/rotate", {"grace": "1h"})
    await admin.form(REVOKE, token=issued["secret"])
    assert (await admin.get(path)).json["status"] == "revoked"


async def test_without_the_scope_a_caller_learns_nothing_about_secrets(admin: Caller, stranger: Caller) -> None:
    caller = await admin.holder("tokens.read")
    answers = [
        await caller.form(REVOKE, token=text)
        for text in ((await admin.issue())["secret"], (await stranger.issue())["secret"], "cfl_service_x")
    ]
    assert {error(answer) for answer in answers} == {(403, "insufficient_scope")}
    assert len({answer.body for answer in answers}) == 1
    assert 'scope="tokens.revoke"' in answers[0].headers["WWW-Authenticate"]


async def test_a_bearer_cannot_be_revoked(admin: Caller, stranger: Caller) -> None:
    ours = await bearer(admin, (await admin.issue())["secret"])
    theirs = await bearer(stranger, (await stranger.issue())["secret"])
    forged = ours[:-2] + "AA"
    for text in (ours, theirs, forged):
        assert error(await admin.form(REVOKE, token=text)) == (400, "unsupported_token_type")
    assert await active(admin, ours)


async def test_revocation_needs_authentication(admin: Caller) -> None:
    secret = (await admin.issue())["secret"]
    assert error(await anybody(admin).form(REVOKE, token=secret)) == (401, "invalid_client")
    assert error(await admin.form(REVOKE)) == error(await admin.form(REVOKE, token="")) == (400, "invalid_request")
    assert await active(admin, secret)
