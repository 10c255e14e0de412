"""C14. Disabling or removing an owner ends the use of their tokens and of every bearer issued for these."""

import asyncio

import pytest

from api.service import Caller
from api.user_fixtures import person


@pytest.mark.parametrize("end", ["disable", "remove"])
async def test_after_the_answer_no_credential_of_the_owner_is_accepted(admin: Caller, end: str) -> None:
    ada = await person(admin, "operator")
    issued = [(await ada.asks().post("/v1/login")).json["issued"] for _ in range(3)]
    by_admin = await admin.issue(
        owner={"type": "user", "id": ada.id.upper()}, scopes=["tokens.read"]
    )  # in any spelling
    secrets = [each["secret"] for each in (*issued, by_admin)]
    bearers = [(await admin.with_token(each).post("/v1/exchange")).json["access_token"] for each in secrets]
    everything = [*secrets, *bearers]

    async def accepted() -> list[bool]:
        direct = await asyncio.gather(*(admin.with_token(each).get("/v1/tokens/self") for each in everything))
        asked = await asyncio.gather(*(admin.form("/v1/introspect", token=each) for each in everything))
        bought = await asyncio.gather(*(admin.with_token(each).post("/v1/exchange") for each in secrets))
        return [
            *(a.status == 200 for a in direct),
            *(a.json["active"] for a in asked),
            *(a.status == 200 for a in bought),
        ]

    assert set(await accepted()) == {True}
    assert (await admin.post(f"/v1/users/{ada.id}/{end}", {"reason": "for the test"})).status == 200
    assert set(await accepted()) == {False}
    assert (await ada.asks().get("/v1/users/self")).problem == "credentials-refused"


async def test_an_enabled_owners_tokens_are_accepted_again_except_revoked_ones(admin: Caller) -> None:
    ada = await person(admin)
    kept, gone = [(await ada.asks().post("/v1/login")).json["issued"] for _ in range(2)]
    await admin.post(f"/v1/users/{ada.id}/disable", {"reason": "on leave"})
    await admin.post(f"/v1/tokens/{gone['token']['id']}/revoke", {"reason": "found on a wall"})
    await admin.post(f"/v1/users/{ada.id}/enable")
    assert (await admin.with_token(kept["secret"]).get("/v1/tokens/self")).status == 200
    assert (await admin.with_token(gone["secret"]).get("/v1/tokens/self")).problem == "token-revoked"


async def test_a_token_does_no_more_than_its_owner_may_do_at_that_moment(admin: Caller, ours: dict[str, str]) -> None:
    ada = await person(admin, "administrator")
    secret = (await ada.asks().post("/v1/login")).json["issued"]["secret"]
    token = admin.with_token(secret)
    bearer = (await token.post("/v1/exchange")).json["access_token"]

    async def left() -> set[str]:
        """The rights of the token according to introspection, a proxy and an exchange."""
        told = [(await admin.form("/v1/introspect", token=each)).json["scope"] for each in (secret, bearer)]
        told.append((await token.post("/v1/exchange")).json["scope"])
        told.append((await admin.form("/v1/introspect", token=bearer)).json["scope"])
        passed = await token.get("/v1/forward", account=ours["account"], scope="own.read")
        return {*told, passed.headers["X-Counterfoil-Scopes"]}

    assert await left() == {"all"}
    assert (await token.get("/v1/users")).status == 200
    assert (await admin.patch(f"/v1/users/{ada.id}", {"role": "member"})).status == 200
    assert await left() == {"own.* scopes.read"}
    for each in (token, admin.with_token(bearer)):
        assert (await each.get("/v1/users")).problem == "scope-missing"
        assert (await each.get("/v1/account")).problem == "scope-missing"
        assert (await each.get("/v1/tokens/self")).status == 200
    assert (await token.post("/v1/exchange", {"scopes": ["tokens.read"]})).problem == "beyond-caller"
    assert (await token.get("/v1/forward", account=ours["account"], scope="tokens.read")).status == 403
    wider = {"name": "x", "owner": {"type": "user", "id": ada.id}, "scopes": ["tokens.read"]}
    assert (await admin.post("/v1/tokens", wider)).problem == "beyond-owner"
    await admin.patch(f"/v1/users/{ada.id}", {"role": "administrator"})
    assert await left() == {"all"}


async def test_an_owners_token_cannot_resume_what_an_administrator_suspended(admin: Caller) -> None:
    ada = await person(admin)
    leaked, other = [(await ada.asks().post("/v1/login")).json["issued"] for _ in range(2)]
    path, thief = f"/v1/tokens/{leaked['token']['id']}", admin.with_token(other["secret"])
    assert (await thief.post(f"{path}/suspend")).json["status"] == "suspended"  # an attempt to become the suspender
    assert (await admin.post(f"{path}/suspend", {"reason": "leaked"})).json["reason"] == "leaked"
    for asks in (thief, ada.asks()):
        refused = await asks.post(f"{path}/resume")
        assert (refused.status, refused.problem, refused.json["missing"]) == (403, "beyond-caller", ["tokens.resume"])
    rotated = await thief.post(f"{path}/rotate", {"grace": "0s"})
    assert rotated.json["token"]["status"] == "suspended"
    assert (await admin.with_token(rotated.json["secret"]).get("/v1/tokens/self")).problem == "token-suspended"
    assert (await admin.post(f"{path}/resume")).json["status"] == "active"
    assert (await thief.post(f"{path}/suspend")).json["status"] == "suspended"
    assert (await thief.post(f"{path}/resume")).json["status"] == "active"
