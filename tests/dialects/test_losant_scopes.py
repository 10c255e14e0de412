"""Losant's scope words: how they are stored, and the rights of a login that requests some of them."""

from typing import Any

import pytest

from api.service import Caller
from api.user_fixtures import person
from counterfoil.core.scopes import missing
from counterfoil_api.dialects.losant.scopes import DELETE, GET, LIST, OF_APPLICATIONS, PATCH, POST, SCOPES, word_of
from dialects.accounts import Account
from dialects.test_losant import made, refused

ANY = ("all.Application", "all.Organization", "all.User")
READ = [f"{each}{part}" for each in ANY for part in ("", ".read", ".bounded")]


def test_every_word_is_stored_as_its_own_scope_and_shown_unchanged() -> None:
    assert len(set(SCOPES.values())) == len(SCOPES)
    assert all(word_of(scope) == word for word, scope in SCOPES.items())
    assert word_of("invoices.read") == "invoices.read"


def test_a_word_contains_what_losant_says() -> None:
    assert not missing((SCOPES["all.Application"],), tuple(SCOPES[word] for word in OF_APPLICATIONS))
    assert not missing((SCOPES["devices.*"],), (SCOPES["devices.get"], SCOPES["devices.tagKeys"]))
    assert missing((SCOPES["devices.*"],), (SCOPES["device.get"],))
    assert missing((SCOPES["all.Application"],), (SCOPES["org.get"],))
    assert missing((SCOPES["all.Organization"],), (SCOPES["devices.get"],))


def test_each_operation_needs_one_of_the_words_of_its_page() -> None:
    pages = {
        LIST: [*READ, "applicationApiTokens.*", "applicationApiTokens.get"],
        POST: [*ANY, "applicationApiTokens.*", "applicationApiTokens.post"],
        GET: [*READ, "applicationApiToken.*", "applicationApiToken.get"],
        PATCH: [*ANY, "applicationApiToken.*", "applicationApiToken.patch"],
        DELETE: [*ANY, "applicationApiToken.*", "applicationApiToken.delete"],
    }
    for scopes, words in pages.items():
        assert set(map(word_of, scopes)) == set(words)


async def login(caller: Caller, given: dict[str, str], *words: str) -> Any:
    return await Caller(caller.session, "").post("/losant/auth/user", {**given, "requestedScopes": words})


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (("all.Organization",), {"list", "post", "get", "patch", "delete"}),
        (("all.Application",), {"list", "post", "get", "patch", "delete"}),
        (("all.User",), {"list", "post", "get", "patch", "delete"}),
        (("all.User.read",), {"list", "get"}),
        (("all.Organization.bounded",), {"list", "get"}),
        (("applicationApiTokens.post", "applicationApiToken.delete"), {"post", "delete"}),
        (("applicationApiToken.patch",), {"patch"}),
        (("org.get", "instanceOrgs.*", "me.patch", "devices.get"), set()),
        ((), set()),
    ],
)
async def test_a_login_has_the_requested_rights(
    native: Caller, here: Account, words: tuple[str, ...], allowed: set[str]
) -> None:
    tokens = f"/losant/applications/{here.application_id}/tokens"
    other = (await made(native, tokens, scope=[]))["id"]
    begun = await login(native, {"email": here.admin_email, "password": here.admin_password}, *words)
    assert begun.status == 200, begun.body
    holder = native.with_token(begun.json["token"])
    answers = {
        "list": await holder.get(tokens),
        "post": await holder.post(tokens, {"name": "empty", "scope": []}),
        "get": await holder.get(f"{tokens}/{other}"),
        "patch": await holder.patch(f"{tokens}/{other}", {"name": "renamed", "status": "inactive"}),
        "delete": await holder.delete(f"{tokens}/{other}"),
    }
    assert {name for name, answer in answers.items() if answer.status < 300} == allowed
    for name in answers.keys() - allowed:
        refused(answers[name], 403, "Forbidden")


async def test_a_login_gets_no_more_than_its_user_holds(native: Caller, here: Account) -> None:
    tokens = f"/losant/applications/{here.application_id}/tokens"
    member = {"email": here.member_email, "password": here.member_password}
    begun = (await login(native, member, "all.Application")).json
    holder = native.with_token(begun["token"])
    assert (await holder.get("/v1/tokens/self")).json["scopes"] == ["losant.application.*"]
    for answer in (await holder.get(tokens), await holder.post(tokens, {"name": "a"})):
        refused(answer, 404, "NotFound", "Application was not found")
    own = f"/losant/applications/{begun['userId']}/tokens"
    token = await made(holder, own, scope=["devices.get"])
    assert (token["ownerId"], token["ownerType"]) == (begun["userId"], "user")
    assert (await holder.get(own, filterField="name", filter="My New*")).json["count"] == 1
    assert (await holder.delete(f"{own}/{token['id']}")).status == 200
    for words in (["all.Organization"], ["me.get"]):
        refused(await login(native, member, *words), 403, "Forbidden", "does not hold")
    for words in (["nonsense"], ["devices.get", "devices.get"]):
        refused(await login(native, member, *words), 400, "Validation", "requestedScopes")


async def test_native_scopes_are_accepted_too(native: Caller, here: Account) -> None:
    tokens = f"/losant/applications/{here.application_id}/tokens"
    other = (await made(native, tokens))["id"]
    operator = await person(native, "operator")
    given: dict[str, object] = {"email": operator.email, "password": operator.password}
    begun = (await Caller(native.session, "").post("/losant/auth/user", given)).json
    holder = native.with_token(begun["token"])
    assert (await holder.get(f"{tokens}/{other}")).json["id"] == other
    assert (await holder.patch(f"{tokens}/{other}", {"status": "inactive"})).json["status"] == "inactive"
    for body in ({"status": "active"}, {"name": "a"}, {"name": "a", "status": "inactive"}):
        refused(await holder.patch(f"{tokens}/{other}", body), 403, "Forbidden", "needs the scope")
    assert (await holder.delete(f"{tokens}/{other}")).status == 200
