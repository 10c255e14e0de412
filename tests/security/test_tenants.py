"""D. Things of one account do not exist for another."""

import asyncio
from uuid import uuid4

from api.service import Caller
from api.test_tenants import shown
from counterfoil.core.subjects.peppers import PEPPER_SET
from counterfoil.core.subjects.signing_keys import RING


async def test_ids_of_another_account_in_filters_find_what_random_ones_find(admin: Caller, stranger: Caller) -> None:
    owner = {"type": "service", "id": "shared-name"}
    token = (await admin.issue(name="ours alone", owner=owner, scopes=["ours.alone"], lifetime="3d"))["token"]
    questions: list[dict[str, str]] = [
        {"name": "ours alone"}, {"name": "ours*"}, {"owner_id": "shared-name"}, {"scope": "ours.alone"},
        {"owner_type": "service", "status": "active"},
    ]  # fmt: skip
    for question in questions:
        assert token["id"] in [
            each["id"] for each in (await admin.get("/v1/tokens", **question, sort="-created")).json["items"]
        ]
        theirs = (await stranger.get("/v1/tokens", **question)).json["items"]
        assert token["account"] not in {each["account"] for each in theirs}
        assert theirs == [] or "owner_type" in question  # they may have some of this kind themselves


async def test_a_cursor_of_ours_is_refused_in_another_account(admin: Caller, stranger: Caller) -> None:
    token = (await admin.issue(lifetime="3d"))["token"]
    await admin.patch(f"/v1/tokens/{token['id']}", {"name": "a second event"})
    path = f"/v1/tokens/{token['id']}/events"
    cursor = (await admin.get(path, limit="1")).json["next_cursor"]
    assert (await admin.get(path, limit="1", cursor=cursor)).status == 200
    foreign = await stranger.get(path, limit="1", cursor=cursor)
    never = await stranger.get(f"/v1/tokens/{uuid4()}/events", limit="1", cursor=cursor)
    assert foreign.status == 404
    assert shown(foreign) == shown(never)
    own = (await stranger.issue())["token"]["id"]
    assert (await stranger.get(f"/v1/tokens/{own}/events", cursor=cursor)).problem == "bad-cursor"
    assert (await stranger.get("/v1/alerts", cursor=cursor)).problem == "bad-cursor"


async def test_introspection_answers_a_foreign_secret_like_a_random_one(admin: Caller, stranger: Caller) -> None:
    ours = await admin.issue()
    bearer = (await admin.with_token(ours["secret"]).post("/v1/exchange")).json["access_token"]
    answers = [shown(await stranger.form("/v1/introspect", token=text)) for text in (ours["secret"], bearer, "x")]
    assert answers == [answers[-1]] * 3


async def test_reading_and_revoking_tokens_of_others_needs_its_own_scope(admin: Caller) -> None:
    other = (await admin.issue())["token"]["id"]
    needed = {"": "tokens.read", "/events": "tokens.read", "/suspend": "tokens.suspend", "/revoke": "tokens.revoke"}
    for path, scope in needed.items():
        lacking = await admin.holder("tokens.create", "tokens.introspect", "alerts.read")
        holding = await admin.holder(scope)
        for caller, allowed in ((lacking, False), (holding, True)):
            url = f"/v1/tokens/{other}{path}"
            answer = await (caller.get(url) if scope == "tokens.read" else caller.post(url, {"reason": "x"}))
            assert (answer.status < 400) == allowed, (path, answer.body)


async def test_an_id_that_is_no_user_of_the_account_is_refused_as_owner(
    admin: Caller, stranger: Caller, ours: dict[str, str], theirs: dict[str, str]
) -> None:
    """An account's id, or that of the signing keys: there are subjects with these ids, but no users."""
    good = await stranger.issue(scopes=["own.read"])
    theirs_alone = (await stranger.get("/v1/users", limit="1")).json["items"][0]["id"]
    names = (ours["account"], theirs["account"], str(RING), str(PEPPER_SET), ours["admin_token_id"], theirs_alone)
    for owner in (*names, str(uuid4())):
        odd = {"name": "odd", "owner": {"type": "user", "id": owner}, "scopes": ["a.b"]}
        told = await asyncio.gather(*(admin.post("/v1/tokens", odd) for _ in range(4)))
        assert {answer.problem for answer in told} == {"unknown-user"}
        assert len({answer.body for answer in told}) == 1
    assert (await admin.with_token(good["secret"]).get("/v1/tokens/self")).status == 200
