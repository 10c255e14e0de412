"""An owner of type user is a user of the account, given by id, number or address."""

from secrets import token_hex
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.service import Answer, Caller
from api.user_fixtures import Person, person


def names_of(who: Person) -> list[str]:
    """All names of a user."""
    return [who.id, who.id.upper(), UUID(who.id).hex, str(who.number), who.email, who.email.upper()]


async def nobodies(admin: Caller, stranger: Caller) -> list[str]:
    """Names of no user of the account."""
    made = await stranger.post("/v1/users", {"email": f"{token_hex(6)}@theirs.example.org", "role": "member"})
    theirs = made.json["user"]
    mine = (await admin.get("/v1/account")).json["id"]
    return [
        str(uuid4()),
        theirs["id"],
        theirs["email"],
        mine,
        "987654321",
        "9" * 19,
        f"{token_hex(6)}@ours.example.org",
    ]


async def call(admin: Caller, way: str, owner: str) -> Answer:
    """Issue a token for an owner in one of the possible ways."""
    given = {"type": "user", "id": owner}
    if way == "create":
        return await admin.post("/v1/tokens", {"name": "x", "owner": given})
    original = (await admin.issue(owner={"type": "service", "id": "x"}))["token"]
    return await admin.post(f"/v1/tokens/{original['id']}/clone", {"owner": given})


async def imported(admin: Caller, *owners: str, dry_run: bool = False) -> list[Any]:
    tokens = [{"name": "x", "owner": {"type": "user", "id": each}, "secret": f"old_{token_hex(20)}"} for each in owners]
    return list((await admin.post("/v1/tokens/import", {"tokens": tokens, "dry_run": dry_run})).json["results"])


@pytest.mark.parametrize("way", ["create", "clone"])
async def test_a_user_is_named_by_id_number_or_address_and_stored_by_id(admin: Caller, way: str) -> None:
    ada = await person(admin)
    for name in names_of(ada):
        answer = await call(admin, way, name)
        assert answer.status == 201, (name, answer.body)
        assert answer.json["token"]["owner"] == {"type": "user", "id": ada.id}
    found = (await admin.get("/v1/tokens", owner_type="user", owner_id=ada.id)).json["items"]
    assert len(found) == len(names_of(ada))


@pytest.mark.parametrize("way", ["create", "clone"])
async def test_an_unknown_user_is_refused_as_owner(admin: Caller, stranger: Caller, way: str) -> None:
    for name in await nobodies(admin, stranger):
        refused = await call(admin, way, name)
        assert (refused.status, refused.problem, refused.json["field"]) == (422, "unknown-user", "owner.id"), name
    for name in ("a b", "nobody", "0", "self:", ""):
        assert (await call(admin, way, name)).problem in ("unknown-user", "bad-owner"), name


async def test_an_import_accepts_the_same_names_of_owners(admin: Caller, stranger: Caller) -> None:
    ada, gone = await person(admin), await person(admin)
    await admin.post(f"/v1/users/{gone.id}/remove", {"reason": "left"})
    good, bad = names_of(ada), await nobodies(admin, stranger)
    for dry_run in (True, False):
        results = await imported(admin, *good, *bad, gone.id, dry_run=dry_run)
        assert [each["status"] for each in results] == ["imported"] * len(good) + ["refused"] * (len(bad) + 1)
        kinds = [each["problem"]["type"].rpartition(":")[2] for each in results[len(good) :]]
        assert kinds == ["unknown-user"] * len(bad) + ["user-gone"]


async def test_a_removed_user_owns_no_new_token_and_their_old_ones_are_still_found(admin: Caller) -> None:
    ada = await person(admin)
    before = (await call(admin, "create", ada.id)).json["token"]
    await admin.post(f"/v1/users/{ada.number}/remove", {"reason": "left"})
    for name in (ada.id, str(ada.number)):
        assert (await call(admin, "create", name)).problem == "user-gone"
        found = (await admin.get("/v1/tokens", owner_type="user", owner_id=name)).json["items"]
        assert [each["id"] for each in found] == [before["id"]]
    assert (await call(admin, "create", ada.email)).problem == "unknown-user"  # the address was erased
    copy = await admin.post(f"/v1/tokens/{before['id']}/clone")
    assert (copy.status, copy.problem) == (409, "user-gone")


async def test_a_filter_accepts_the_same_names_and_refuses_unknown_users(admin: Caller, stranger: Caller) -> None:
    ada = await person(admin)
    (token,) = [(await call(admin, "create", ada.id)).json["token"]["id"]]
    for name in names_of(ada):
        found = (await admin.get("/v1/tokens", owner_type="user", owner_id=name)).json["items"]
        assert [each["id"] for each in found] == [token]
        plan = await admin.post("/v1/revocations/plan", {"filter": {"owner_type": "user", "owner_id": name}})
        assert (plan.json["tokens"], plan.json["owners"][0]["owner"]["id"]) == (1, ada.id)
    for name in await nobodies(admin, stranger):
        wanted = {"owner_type": "user", "owner_id": name}
        order = {"filter": wanted, "plan": "0" * 64, "reason": "x"}
        for refused in (
            await admin.get("/v1/tokens", **wanted),
            await admin.post("/v1/revocations/plan", {"filter": wanted}),
            await admin.post("/v1/revocations", order),
        ):
            assert (refused.status, refused.problem, refused.json["field"]) == (422, "unknown-user", "owner_id"), name
    assert (await admin.get("/v1/tokens", owner_type="service", owner_id="nobody")).json["items"] == []


async def test_a_caller_limited_to_own_tokens_learns_nothing_of_other_users(admin: Caller) -> None:
    ada, eve = await person(admin), await person(admin)
    for name in (*names_of(ada), "self"):
        answer = await call(ada.asks(), "create", name) if name != "self" else None
        answer = answer or await ada.asks().post("/v1/tokens", {"name": "x", "owner": {"type": "user", "id": "self"}})
        assert answer.json["token"]["owner"]["id"] == ada.id
    for known, unknown in ((eve.id, str(uuid4())), (str(eve.number), "987654"), (eve.email, "nobody@x.org")):
        answers = [await look(ada.asks(), name) for name in (known, unknown)]
        assert {answer.status for each in answers for answer in each} == {403}
        assert [answer.json for answer in answers[0]] == [answer.json for answer in answers[1]]


async def look(caller: Caller, name: str) -> list[Answer]:
    """All answers that might mention a user."""
    return [
        await caller.post("/v1/tokens", {"name": "x", "owner": {"type": "user", "id": name}}),
        await caller.get("/v1/tokens", owner_type="user", owner_id=name),
        await caller.get(f"/v1/users/{name}"),
    ]


async def test_no_answer_shows_an_address_without_users_read(admin: Caller) -> None:
    ada = await person(admin)
    issuer = await admin.holder("tokens.create", "tokens.read", owner={"type": "service", "id": "issuer"})
    for name in (ada.email, "nobody@x.org"):
        refused = await issuer.post("/v1/tokens", {"name": "x", "owner": {"type": "user", "id": name}})
        assert (refused.problem, refused.json["scope"]) == ("scope-missing", "users.read")
        listed = await issuer.get("/v1/tokens", owner_type="user", owner_id=name)
        assert (listed.problem, listed.json["scope"]) == ("scope-missing", "users.read")
    for name in (ada.id, str(ada.number)):
        assert (await issuer.post("/v1/tokens", {"name": "x", "owner": {"type": "user", "id": name}})).status == 201


async def test_a_user_may_be_named_by_address_in_every_operation(admin: Caller, stranger: Caller) -> None:
    ada = await person(admin)
    for name in names_of(ada):
        assert (await admin.get(f"/v1/users/{name}")).json["id"] == ada.id
        assert (await ada.asks().get(f"/v1/users/{name}")).json["id"] == ada.id
        if not name.isdigit():  # the other account may have a user of this number
            assert (await stranger.get(f"/v1/users/{name}")).problem == "not-found"
    assert (await admin.post(f"/v1/users/{ada.email}/disable", {"reason": "x"})).json["status"] == "disabled"
    assert (await admin.get(f"/v1/users/{ada.email}/events")).json["items"][-1]["type"] == "disabled"
    assert (await admin.get("/v1/users/a b")).problem == "bad-reference"
