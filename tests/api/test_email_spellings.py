"""All spellings of an e-mail address name one user."""

from itertools import count
from urllib.parse import quote

import pytest

from api.service import Caller, basic
from api.user_fixtures import PASSWORD, Person, person

_NUMBERS = count(1)
LOCAL = "jos\u00e9"
DOMAIN = "b\u00fccher.example"


async def jose(admin: Caller, email: str = "") -> Person:
    """A new user whose address has letters with several spellings."""
    email = email or f"{LOCAL}{next(_NUMBERS)}@{DOMAIN}"
    made = await admin.post("/v1/users", {"email": email, "role": "member", "password": PASSWORD})
    assert made.status == 201, made.body
    user = made.json["user"]
    assert user["email"] == email
    return Person(user["id"], user["number"], email, user["login"], PASSWORD, admin)


def spellings(email: str) -> list[str]:
    """Other spellings of this address."""
    local = email.partition("@")[0]
    return [
        email.upper(), email.replace("\u00e9", "e\u0301"), email.replace("\u00fc", "u\u0308"),
        f"{local}@xn--bcher-kva.example", f"{local}@b\u00fc\u200bcher.example", f"{local}@b\u00fccher\u3002example.",
    ]  # fmt: skip


async def test_a_user_logs_in_with_every_spelling_of_their_address(admin: Caller) -> None:
    known = await jose(admin)
    login = known.login.removesuffix(known.email)
    for spelt in spellings(known.email):
        answer = await Caller(admin.session, basic(f"{login}{spelt}", PASSWORD)).get("/v1/users/self")
        assert (answer.status, ascii(spelt)) == (200, ascii(spelt))
        assert (answer.json["id"], answer.json["email"]) == (known.id, known.email)


async def test_no_spelling_of_an_address_makes_a_second_user(admin: Caller, stranger: Caller) -> None:
    known, other = await jose(admin), await person(admin)
    taken = [spelt for spelt in spellings(known.email) if "\u200b" not in spelt]
    for spelt in taken:
        made = await admin.post("/v1/users", {"email": spelt, "role": "member"})
        assert (made.status, made.problem) == (409, "email-taken"), ascii(spelt)
        moved = await admin.patch(f"/v1/users/{other.id}", {"email": spelt})
        assert (moved.status, moved.problem) == (409, "email-taken"), ascii(spelt)
    assert (await stranger.post("/v1/users", {"email": taken[0], "role": "member"})).status == 201


async def test_a_user_changes_the_spelling_of_their_address_and_frees_it_when_removed(admin: Caller) -> None:
    known = await jose(admin)
    spelt = known.email.replace(DOMAIN, "xn--bcher-kva.example")
    assert (await admin.patch(f"/v1/users/{known.id}", {"email": spelt})).json["email"] == spelt
    assert (await admin.post("/v1/users", {"email": known.email, "role": "member"})).problem == "email-taken"
    await admin.post(f"/v1/users/{known.id}/remove", {"reason": "left"})
    assert (await jose(admin, known.email)).id != known.id


async def test_a_user_is_named_and_listed_by_every_spelling_of_their_address(admin: Caller) -> None:
    known = await jose(admin)
    for spelt in spellings(known.email):
        found = await admin.get(f"/v1/users/{quote(spelt)}")
        assert (found.status, ascii(spelt)) == (200, ascii(spelt))
        assert found.json["id"] == known.id
        assert [each["id"] for each in (await admin.get("/v1/users", email=spelt)).json["items"]] == [known.id]
        owned = await admin.issue(owner={"type": "user", "id": spelt}, scopes=["own.read"])
        assert owned["token"]["owner"]["id"] == known.id
    decomposed = known.email.replace("\u00e9", "e\u0301").replace(DOMAIN, "*")
    assert [each["id"] for each in (await admin.get("/v1/users", email=decomposed)).json["items"]] == [known.id]


@pytest.mark.parametrize(
    ("email", "reported"),
    [("a:b@example.org", "colon"), ("a@exam\u200bple.org", "U+200B"), ("a\u00ad@example.org", "U+00AD")],
)
async def test_an_address_that_could_not_log_in_or_has_hidden_characters_is_refused(
    admin: Caller, email: str, reported: str
) -> None:
    refused = await admin.post("/v1/users", {"email": email, "role": "member"})
    assert (refused.status, refused.problem) == (422, "bad-email")
    assert reported in refused.json["detail"]
    assert refused.json["field"] == "email"
