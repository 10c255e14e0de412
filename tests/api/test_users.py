"""Users over HTTP: who may add, see and change whom."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from api.service import Caller, basic
from api.user_fixtures import PASSWORD, person


async def test_a_user_is_added_and_logs_in_with_the_generated_password(admin: Caller) -> None:
    made = await admin.post("/v1/users", {"email": "grace@ours.example.org", "role": "operator"})
    assert made.status == 201
    user, password = made.json["user"], made.json["password"]
    assert made.headers["Location"] == f"/v1/users/{user['id']}"
    assert made.headers["Cache-Control"] == "no-store"
    grace = Caller(admin.session, basic(user["login"].replace("grace@", "Grace@"), password))  # case is ignored
    assert (await grace.get("/v1/users/self")).json == user
    assert (await admin.get(f"/v1/users/{user['number']}")).json == user
    assert user["status"] == "active"
    assert (await grace.post("/v1/users", {"email": "x@y.org", "role": "member"})).problem == "scope-missing"


async def test_a_given_password_is_not_repeated(admin: Caller) -> None:
    body = {"email": "given@ours.example.org", "role": "member", "password": PASSWORD}
    made = await admin.post("/v1/users", body)
    assert made.json["password"] is None
    assert PASSWORD.encode() not in made.body


async def test_a_repeated_request_adds_one_user_with_one_password(admin: Caller) -> None:
    key, body = uuid4().hex, {"email": "twice@ours.example.org", "role": "member"}
    first, again = [await admin.post("/v1/users", body, Idempotency_Key=key) for _ in range(2)]
    assert (first.status, first.body) == (again.status, again.body)
    other = await admin.post("/v1/users", {**body, "email": "thrice@ours.example.org"}, Idempotency_Key=key)
    assert other.problem == "key-reused"
    assert (await admin.post("/v1/users", body)).problem == "email-taken"
    short = await admin.post("/v1/users", {**body, "email": "short@ours.example.org"}, Idempotency_Key="k")
    assert short.problem == "key-too-short"


async def test_of_two_simultaneous_requests_for_one_address_one_gets_it(admin: Caller) -> None:
    bodies = [{"email": email, "role": "member"} for email in ("race@ours.example.org", "RACE@ours.example.org")] * 2
    answers = await asyncio.gather(*(admin.post("/v1/users", body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert {answer.problem for answer in answers if answer.status == 409} == {"email-taken"}


async def test_an_address_is_unique_within_its_account_only(admin: Caller, stranger: Caller) -> None:
    ada = await person(admin)
    body = {"email": ada.email.upper(), "role": "member"}
    refused = await admin.post("/v1/users", body)
    assert refused.problem == "email-taken"
    assert set(refused.json) == {"type", "title", "status", "detail"}
    assert (await stranger.post("/v1/users", body)).status == 201


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"email": "nobody"}, "bad-email"), ({"password": "too short"}, "bad-password"),
        ({"password": "passwordpassword"}, "bad-password"), ({"password": "somebody@ours.example.org"}, "bad-password"),
        ({"scopes": ["a b"]}, "bad-scope"), ({"role": "king"}, "invalid-request"), ({"wings": 2}, "invalid-request"),
        ({"email": "a\x00b@c"}, "bad-text"),
    ],
)  # fmt: skip
async def test_an_invalid_user_is_refused(admin: Caller, fields: dict[str, Any], problem: str) -> None:
    body = {"email": "somebody@ours.example.org", "role": "member"} | fields
    assert (await admin.post("/v1/users", body)).problem == problem


async def test_users_are_listed_page_by_page_and_filtered(admin: Caller) -> None:
    people = [await person(admin, "auditor") for _ in range(3)]
    await admin.post(f"/v1/users/{people[1].id}/disable", {"reason": "for the test"})
    seen, cursor = [], None
    while True:
        more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
        page = (await admin.get("/v1/users", limit="2", role="auditor", **more)).json
        seen += [user["id"] for user in page["items"]]
        assert len(page["items"]) <= 2
        if (cursor := page["next_cursor"]) is None:
            break
    assert [user.id for user in people] == [id_ for id_ in seen if id_ in {user.id for user in people}]
    disabled = (await admin.get("/v1/users", status="disabled", role="auditor")).json["items"]
    assert [user["id"] for user in disabled] == [people[1].id]
    named = (await admin.get("/v1/users", email=people[2].email.upper().replace("PERSON", "?ERSON")[:-3] + "*")).json
    assert [user["id"] for user in named["items"]] == [people[2].id]
    assert (await admin.get("/v1/users", email="%")).json["items"] == []
    first = (await admin.get("/v1/users", limit="1")).json["next_cursor"]
    assert (await admin.get("/v1/users", role="member", cursor=first)).problem == "bad-cursor"


async def test_changes_of_a_user_require_the_revision_that_was_read(admin: Caller) -> None:
    ada = await person(admin)
    changed = await admin.patch(f"/v1/users/{ada.id}", {"role": "operator", "scopes": ["a.b"]}, If_Match='"1"')
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
    assert (changed.json["role"], changed.json["scopes"]) == ("operator", ["a.b"])
    stale = await admin.patch(f"/v1/users/{ada.id}", {"role": "member"}, If_Match='"1"')
    assert (stale.problem, stale.json["revision"]) == ("stale-revision", 2)
    moved = await admin.patch(f"/v1/users/{ada.id}", {"email": f"moved-{ada.email}"})
    assert moved.json["email"] == f"moved-{ada.email}"
    assert (await ada.asks().get("/v1/users/self")).problem == "credentials-refused"
    ada.login = moved.json["login"]
    assert (await ada.asks().get("/v1/users/self")).json["role"] == "operator"


async def test_a_user_gives_no_more_than_they_hold_and_changes_nobody_who_holds_more(admin: Caller) -> None:
    scopes = ("users.*", "tokens.*")
    lead = (await person(admin, "operator", scopes=scopes)).asks()
    boss, member = await person(admin, "administrator"), await person(admin)
    for body in ({"role": "administrator"}, {"role": "auditor"}, {"role": "member", "scopes": ["invoices.read"]}):
        refused = await lead.post("/v1/users", {"email": "more@ours.example.org", **body})
        assert refused.problem == "beyond-caller"
    for path, more in (
        ("password", {}),
        ("totp/remove", {}),
        ("disable", {"reason": "x"}),
        ("remove", {"reason": "x"}),
    ):
        assert (await lead.post(f"/v1/users/{boss.id}/{path}", more)).problem == "beyond-caller"
    assert (await lead.patch(f"/v1/users/{boss.id}", {"role": "member"})).problem == "beyond-caller"
    assert (await lead.patch("/v1/users/self", {"role": "administrator"})).problem == "beyond-caller"
    assert (await lead.patch(f"/v1/users/{member.id}", {"role": "operator"})).status == 200
    assert (await lead.post(f"/v1/users/{member.id}/disable", {"reason": "x"})).status == 200


async def test_a_caller_with_an_expiry_adds_no_user_and_resets_no_password(admin: Caller) -> None:
    ada = await person(admin)
    passing = await admin.holder("all", lifetime="1h")
    assert (await passing.post("/v1/users", {"email": "late@x.org", "role": "member"})).problem == "beyond-caller"
    assert (await passing.post(f"/v1/users/{ada.id}/password")).problem == "beyond-caller"
    assert (await passing.post(f"/v1/users/{ada.id}/disable", {"reason": "x"})).status == 200
    assert (await passing.post(f"/v1/users/{ada.id}/enable")).problem == "beyond-caller"
