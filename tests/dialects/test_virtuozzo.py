"""Virtuozzo's personal access tokens: their whole life by GET and by POST, and the needed rights."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from api.user_fixtures import PASSWORD, person
from counterfoil_dev.postgres import Postgres
from dialects.jelastic import AUTHENTICATION, Jelastic, World, world

DENIED, TOKEN_DENIED, NOT_FOUND, INVALID, NO_SESSION, WRONG_PASSWORD = 8, 8202, 5, 3, 701, 702
BOTH = pytest.mark.parametrize("verb", ["GET", "POST"])


@pytest_asyncio.fixture(scope="module")
async def all_of_it(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    async with world(postgres_server, template, tmp_path_factory.mktemp("virtuozzo"), "virtuozzo") as made:
        yield made


def methods(token: Any) -> list[str]:
    return [each["method"] for each in token["apiListItems"]]


async def allowing(client: Jelastic, *functions: str) -> tuple[Jelastic, Any]:
    """A client with a new token that allows these methods; and the token."""
    token = await client.made(apiList=",".join(f"{AUTHENTICATION}.{each}" for each in functions))
    return client.using(token["key"]), token


@BOTH
async def test_a_token_goes_through_its_whole_life(all_of_it: World, verb: str) -> None:
    client = await all_of_it.member(verb)
    made = await client.made("nightly", apiList="environment.control.GetEnvs", expiresAt="2090-01-31 00:00:00")
    assert re.fullmatch("[0-9a-f]{40}", made["key"])
    items = [
        {
            "id": made["apiListItems"][0]["id"], "method": "environment.control.GetEnvs", "isSafe": True,
            "isCollaborationAccessible": False, "useObjectHash": False,
        }
    ]  # fmt: skip
    shown = {
        "id": made["id"], "description": "nightly", "apiListItems": items, "expiresAt": "2090-01-31 00:00:00",
        "lastUsed": None, "isSystem": False,
    }  # fmt: skip
    assert made == {**shown, "key": made["key"]}
    assert (await client.auth("GetTokens", ids=made["id"]))["apiTokens"] == [shown]
    native = (await all_of_it.admin.get(f"/v1/tokens/{made['id']}")).json
    assert (native["dialect"], native["owner"]["id"]) == ("virtuozzo", all_of_it.person.id)
    assert native["scopes"] == ["virtuozzo.environment.control.getenvs"]

    edited = await client.change(
        "EditToken", id=made["id"], description="weekly", apiList="env.control.StopEnv", expiresAt="2091-01-31 00:00:00"
    )
    assert (edited["token"]["description"], edited["token"]["expiresAt"]) == ("weekly", "2091-01-31 00:00:00")
    assert methods(edited["token"]) == ["environment.control.StopEnv"]
    assert "key" not in edited["token"]
    kept = await client.change("EditToken", id=made["id"], tokenTemplate=None, apiList=None, expiresAt=None)
    assert kept["token"] == edited["token"]

    several = ["env.control.StopEnv", "env.control.StartEnv"]
    for listed, left in ((several, 2), (str(several), 2), ("[]", 0), (several[:1], 1)):
        found = (await client.change("EditToken", id=made["id"], apiList=listed))["token"]
        assert len(found["apiListItems"]) == left

    again = (await client.change("RegenerateToken", **{"id" if verb == "GET" else "ids": made["id"]}))["token"]
    assert again["key"] != made["key"]
    assert {**again, "key": ""} == {**edited["token"], "key": ""}
    assert await client.using(made["key"]).refused("GetTokens") == NO_SESSION
    assert await client.using(again["key"]).refused("GetTokens") == TOKEN_DENIED
    used = (await all_of_it.admin.get(f"/v1/tokens/{made['id']}")).json["generation"]
    assert used == 2

    await client.change("DeleteTokens", ids=made["id"])
    assert await client.using(again["key"]).refused("GetTokens") == NO_SESSION
    assert await client.refused("GetTokens", ids=made["id"]) == NOT_FOUND
    assert await client.refused("EditToken", id=made["id"], password=PASSWORD) == NOT_FOUND


@BOTH
async def test_every_change_needs_the_users_password(all_of_it: World, verb: str) -> None:
    session = await all_of_it.member(verb)
    token, made = await allowing(session, "CreateToken", "EditToken", "RegenerateToken", "DeleteTokens", "GetTokens")
    for client in (session, token):
        for function, parameters in (
            ("CreateToken", {"description": "another"}),
            ("EditToken", {"id": made["id"], "description": "another"}),
            ("RegenerateToken", {"id": made["id"]}),
            ("DeleteTokens", {"ids": made["id"]}),
        ):
            for password in (None, "a wrong one", all_of_it.ours["admin_password"]):
                assert await client.refused(function, password=password, **parameters) == WRONG_PASSWORD
            await all_of_it.member()  # a successful login resets the failures
    assert (await token.auth("GetTokens", ids=made["id"]))["apiTokens"][0]["description"] == "a token"


async def test_a_token_without_a_user_changes_nothing(all_of_it: World) -> None:
    issued = await all_of_it.admin.issue(scopes=["tokens.*"], owner={"type": "service", "id": "builds"})
    client = all_of_it.client().using(issued["secret"])
    assert [each["id"] for each in (await client.auth("GetTokens"))["apiTokens"]] == [issued["token"]["number"]]
    assert await client.refused("CreateToken", description="a", password=PASSWORD) == WRONG_PASSWORD
    assert (await client.call("users.account.GetUserInfo"))["result"] == NOT_FOUND


@BOTH
async def test_a_token_may_call_exactly_its_methods(all_of_it: World, verb: str) -> None:
    session = await all_of_it.member(verb)
    token, made = await allowing(session, "GetTokens", "CreateToken")
    listed = (await token.auth("GetTokens", ids=made["id"]))["apiTokens"]
    assert methods(listed[0]) == [f"{AUTHENTICATION}.GetTokens", f"{AUTHENTICATION}.CreateToken"]
    child = await token.made(apiList=f"{AUTHENTICATION}.GetTokens")
    assert methods(child) == [f"{AUTHENTICATION}.GetTokens"]
    beyond = await token.refused(
        "CreateToken", password=PASSWORD, description="a", apiList="environment.control.StopEnv"
    )
    assert beyond == DENIED
    for function in (
        "EditToken",
        "RegenerateToken",
        "DeleteTokens",
        "GetSessions",
        "SignoutSessions",
        "GetTokenApiList",
    ):
        given = {"id": made["id"], "ids": made["id"], "password": PASSWORD}
        assert await token.refused(function, **given) == TOKEN_DENIED
    assert (await token.call("users.account.GetUserInfo"))["result"] == TOKEN_DENIED
    nothing = session.using((await session.made())["key"])
    assert await nothing.refused("GetTokens") == TOKEN_DENIED
    assert await nothing.refused("Signout") == NOT_FOUND


async def test_native_scopes_allow_the_same_as_natively(all_of_it: World) -> None:
    issued = await all_of_it.admin.issue(
        scopes=["own.read", "scopes.read"], owner={"type": "user", "id": all_of_it.person.id}
    )
    client = all_of_it.client().using(issued["secret"])
    assert issued["token"]["number"] in [each["id"] for each in (await client.auth("GetTokens"))["apiTokens"]]
    assert (await client.call("users.account.GetUserInfo"))["email"] == all_of_it.person.email
    assert await client.auth("GetTokenTemplates")
    assert await client.refused("CreateToken", description="a", password=PASSWORD) == TOKEN_DENIED


async def test_a_session_has_the_rights_of_its_user(all_of_it: World) -> None:
    auditor = await person(all_of_it.admin, "auditor")
    client = await all_of_it.client().signed_in(auditor.login, PASSWORD)
    assert (await client.auth("GetTokens"))["apiTokens"] == []
    assert await client.refused("CreateToken", description="a", password=PASSWORD) == DENIED
    plain = await person(all_of_it.admin)
    client = await all_of_it.client().signed_in(plain.login, PASSWORD)
    assert methods(await client.made()) == []
    wanted = await client.refused(
        "CreateToken", description="a", password=PASSWORD, apiList="environment.control.StopEnv"
    )
    assert wanted == DENIED


@BOTH
async def test_an_expired_token_is_regenerated_with_the_same_lifetime(all_of_it: World, verb: str) -> None:
    client = await all_of_it.member(verb)
    scopes = [f"virtuozzo.{AUTHENTICATION}.gettokens".lower()]
    owner = {"type": "user", "id": all_of_it.person.id}
    brief = (await all_of_it.admin.issue(lifetime="900ms", scopes=scopes, owner=owner))["token"]["number"]
    soon = datetime.now(UTC) + timedelta(seconds=2)
    given = await client.made(expiresAt=f"{soon:%Y-%m-%d %H:%M:%S}", apiList=f"{AUTHENTICATION}.GetTokens")
    await asyncio.sleep(2.1)
    assert await client.using(given["key"]).refused("GetTokens") == NO_SESSION
    listed = (await client.auth("GetTokens", ids=f"{brief};{given['id']}"))["apiTokens"]
    assert [each["id"] for each in listed] == [brief, given["id"]]
    for number in (brief, given["id"]):
        again = (await client.change("RegenerateToken", id=number))["token"]
        native = (await all_of_it.admin.get(f"/v1/tokens/{number}")).json
        assert (native["generation"], native["lifetime"]) == (2, "900ms" if number == brief else native["lifetime"])
        lived = datetime.fromisoformat(native["expires_at"]) - datetime.fromisoformat(native["updated_at"])
        assert timedelta(milliseconds=899) < lived <= timedelta(seconds=3)
        assert await client.using(again["key"]).auth("GetTokens")
    edited = await client.change("EditToken", id=given["id"], expiresAt="2090-01-31T00:00:00")
    assert edited["token"]["expiresAt"] == "2090-01-31 00:00:00"
    assert await client.refused("EditToken", id=brief, expiresAt="2020-01-31", password=PASSWORD) == INVALID


@pytest.mark.parametrize(
    "ids", ["{0};{1};{2}", "{0},{1},{2}", " {0} , {1};{2}", "['{0}', '{1}', '{2}']", "{0}&{1}&{2}"]
)
async def test_ids_are_accepted_in_several_forms(all_of_it: World, ids: str) -> None:
    client = await all_of_it.member()
    named = ids.format(*[(await client.made())["id"] for _ in range(3)]).split("&")
    assert len((await client.auth("GetTokens", ids=named))["apiTokens"]) == 3
    await client.change("DeleteTokens", ids=named)
    assert await client.refused("GetTokens", ids=named) == NOT_FOUND


async def test_a_star_means_all_own_tokens_without_sessions(all_of_it: World) -> None:
    other = await person(all_of_it.admin, scopes=("virtuozzo.*",))
    client = await all_of_it.client().signed_in(other.login, PASSWORD)
    keys = [(await client.made(apiList=f"{AUTHENTICATION}.DeleteTokens"))["key"] for _ in range(3)]
    kept = await (await all_of_it.member()).made()
    assert len((await client.auth("GetTokens", ids="*"))["apiTokens"]) == 3
    await client.using(keys[1]).change("DeleteTokens", ids="*")
    assert (await client.auth("GetTokens"))["apiTokens"] == []
    assert (await (await all_of_it.member()).auth("GetTokens", ids=kept["id"]))["apiTokens"]
    for nothing in (None, "[]", ","):
        assert await client.refused("DeleteTokens", ids=nothing, password=PASSWORD) == INVALID
    assert (await client.auth("GetTokens", ids="[]"))["apiTokens"] == []
    assert await client.refused("DeleteTokens", ids="1,two", password=PASSWORD) == INVALID


async def test_all_named_tokens_are_revoked_or_none(all_of_it: World) -> None:
    client = await all_of_it.member()
    made = await client.made()
    assert await client.refused("DeleteTokens", ids=f"{made['id']},2000000000", password=PASSWORD) == NOT_FOUND
    assert (await client.auth("GetTokens", ids=made["id"]))["apiTokens"]


async def test_only_administrators_manage_tokens_of_others(all_of_it: World) -> None:
    member, admin = await all_of_it.member(), await all_of_it.administrator()
    stranger = await all_of_it.stranger()
    theirs, ours = await member.made(), await admin.made()
    assert (await admin.auth("GetTokens", ids=theirs["id"]))["apiTokens"][0]["id"] == theirs["id"]
    assert theirs["id"] not in [each["id"] for each in (await admin.auth("GetTokens"))["apiTokens"]]
    assert (await admin.change("EditToken", id=theirs["id"], description="seen"))["token"]["description"] == "seen"
    for client, number in ((member, ours["id"]), (stranger, theirs["id"]), (stranger, ours["id"])):
        for function, name in (
            ("GetTokens", "ids"), ("EditToken", "id"), ("RegenerateToken", "id"), ("DeleteTokens", "ids")
        ):  # fmt: skip
            refused = await client.refused(function, **{name: number}, password=client.password)
            assert refused == NOT_FOUND
    await admin.change("DeleteTokens", ids=theirs["id"])
    assert await member.refused("GetTokens", ids=theirs["id"]) == NOT_FOUND


@BOTH
async def test_a_repeated_creation_under_its_key_returns_the_same_token(all_of_it: World, verb: str) -> None:
    client, headers = await all_of_it.member(verb), {"Idempotency-Key": f"a-key-that-is-long-enough-{verb}"}

    async def create(description: str) -> Any:
        path = f"/virtuozzo/1.0/{AUTHENTICATION.replace('.', '/')}/rest/createtoken"
        given = {"session": client.session, "password": PASSWORD, "description": description}
        place: Any = {"params": given} if verb == "GET" else {"data": given}
        async with all_of_it.http.request(verb, path, headers=headers, **place) as answer:
            return await answer.json()

    first = await create("once")
    assert first["result"] == 0
    assert await create("once") == first
    assert (await create("twice"))["result"] == INVALID
