"""Details of Virtuozzo's API: lists of methods, templates, sessions, errors; nothing of it is logged."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator
from structlog.testing import capture_logs

from api.user_fixtures import PASSWORD, person
from counterfoil.core.refusals import BadExpiry, BadScope
from counterfoil_api.dialects.virtuozzo import dates, methods
from counterfoil_dev.postgres import Postgres
from dialects.jelastic import AUTHENTICATION, World, world

DENIED, NOT_FOUND, INVALID, SERVER, NO_SESSION, WRONG_PASSWORD = 8, 5, 3, 99, 701, 702
ROOT = "/virtuozzo/1.0"
STOP = "virtuozzo.environment.control.stopenv"


@pytest_asyncio.fixture(scope="module")
async def all_of_it(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    async with world(postgres_server, template, tmp_path_factory.mktemp("virtuozzo"), "virtuozzo_words") as made:
        yield made


def test_methods_are_listed_in_every_form_of_the_clients() -> None:
    wanted = (STOP, "virtuozzo.users.account.getuserinfo")
    for text in (
        "environment.control.StopEnv,users.account.GetUserInfo",
        "env.control.StopEnv; Users.Account.GetUserInfo",
        '["ENV.CONTROL.STOPENV","users.account.getuserinfo"]',
        "['environment.control.StopEnv', 'users.account.GetUserInfo', 'environment.control.StopEnv']",
    ):
        assert methods.scopes_of(methods.words((text,))) == wanted
    assert methods.scopes_of(methods.words(("env.control.StopEnv", "users.account.GetUserInfo"))) == wanted
    assert methods.words(()) == methods.words(("", " ", "[]", ",;")) == ()
    assert methods.scopes_of(("tokens.read", "env.control.StopEnv"), ("tokens.read",)) == ("tokens.read", STOP)
    for wrong in ("tokens.read", "environment.control.*", "all", "a.b.c.d", "a.b.é", "a..b", "a.b." + "c" * 200):
        with pytest.raises(BadScope):
            methods.scope_of(wrong)


def test_a_methods_id_and_spelling_are_the_same_everywhere() -> None:
    first, second = methods.item(STOP), methods.item("virtuozzo.environment.control.getenvs")
    assert (first.method, first.is_safe, second.is_safe) == ("environment.control.StopEnv", False, True)
    assert first.id == 1_131_404_620  # for ever: clients may store it
    assert methods.item("virtuozzo.a.b.isthere").method == "a.b.isthere"
    assert len({methods.number(scope) for scope in methods.KNOWN}) == len(methods.KNOWN)
    every = methods.items(("virtuozzo.*", "tokens.read"))
    assert [each.method for each in every] == ["tokens.read", *methods.KNOWN.values()]
    assert [each.method for each in methods.items(("virtuozzo.environment.windows.*",))] == ["environment.windows.RDP"]


def test_dates_are_utc_to_the_second() -> None:
    moment = dates.expiry("2030-01-31 12:30:15")
    assert dates.date_of(moment) == "2030-01-31 12:30:15"
    assert dates.date_of(dates.expiry("2030-01-31")) == "2030-01-31 00:00:00"
    assert dates.expiry("") is None
    assert dates.date_of(None) is None
    for wrong in ("2030-01-32 00:00:00", "31-01-2030", "tomorrow", "2030-01-31 12:30:15Z"):
        with pytest.raises(BadExpiry):
            dates.expiry(wrong)


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_templates_are_the_sets_of_the_catalogue(all_of_it: World, verb: str) -> None:
    wanted = ["environment.control.StopEnv", "environment.control.GetEnvs"]
    deploying = ["virtuozzo.environment.deployment.deployarchive"]
    for name, scopes in {
        "IDE Plugins": deploying,
        "Marketplace": deploying,
        "Maven Plugin": deploying,
        "Extended Access": ["virtuozzo.*"],
        "Our builds": [STOP, "virtuozzo.environment.control.getenvs"],
    }.items():
        assert (await all_of_it.admin.put(f"/v1/scope-sets/{quote(name)}", {"scopes": scopes})).status == 200
    client = await all_of_it.member(verb)
    templates = {each["name"]: each for each in (await client.auth("GetTokenTemplates"))["templates"]}
    assert {"Extended Access", "IDE Plugins", "Marketplace", "Maven Plugin", "Our builds"} <= set(templates)
    assert [each["method"] for each in templates["Our builds"]["apiListItems"]] == wanted
    for name in ("Maven Plugin", "our builds", "Extended Access"):
        made = await client.made(tokenTemplate=name)
        meant = next(each for each in templates.values() if each["name"].lower() == name.lower())
        assert (made["tokenTemplate"], made["apiListItems"]) == (meant["name"], meant["apiListItems"])
    edited = (await client.change("EditToken", id=made["id"], tokenTemplate="Our builds"))["token"]
    assert (edited["tokenTemplate"], len(edited["apiListItems"])) == ("Our builds", 2)
    edited = (await client.change("EditToken", id=made["id"], apiList="env.control.StopEnv"))["token"]
    assert "tokenTemplate" not in edited
    assert len(edited["apiListItems"]) == 1
    kept = (await client.change("EditToken", id=made["id"], tokenTemplate="Custom"))["token"]
    assert kept == edited
    for wrong in ({"tokenTemplate": "None"}, {"tokenTemplate": "Maven Plugin", "apiList": "env.control.StopEnv"}):
        assert await client.refused("CreateToken", description="a", password=PASSWORD, **wrong) == INVALID


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_the_methods_can_be_searched(all_of_it: World, verb: str) -> None:
    described = await all_of_it.admin.put("/v1/scopes/virtuozzo.our.own.method", {"sentence": "Something of ours."})
    assert described.status == 200
    for more in ("virtuozzo.our.*", "virtuozzoish.a.b", "invoices.read"):
        assert (await all_of_it.admin.put(f"/v1/scopes/{more}", {"sentence": "None."})).status == 200
    client = await all_of_it.member(verb)

    async def found(**search: object) -> list[str]:
        answer = await client.auth("GetTokenApiList", **search)
        return [each["method"] for each in answer["tokenPermissions"]]

    every = await found(showPrivate=None)
    assert every == sorted(every, key=str.lower)
    assert len(every) > 100
    assert "our.own.method" in every
    assert not {"our.*", "invoices.read", "virtuozzoish.a.b"} & set(every)
    assert await found(search="STOPENV") == ["environment.control.StopEnv"]
    assert await found(sortParam="env.control.StopEnv") == ["environment.control.StopEnv"]
    assert await found(search="nothing like it") == []
    made = await client.made(apiList=json.dumps(every))
    assert len(made["apiListItems"]) == len(every)


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_sessions_begin_and_end(all_of_it: World, verb: str) -> None:
    one = await person(all_of_it.admin, scopes=("virtuozzo.*",))
    client = all_of_it.client(verb)
    answer = await client.auth("Signin", login=one.login, password=PASSWORD)
    session = answer.pop("session")
    wanted = {
        "result": 0, "error": "", "reason": 0, "source": "counterfoil", "uid": one.number, "email": one.email,
        "name": one.email, "status": 1, "authType": "PASSWORD",
    }  # fmt: skip
    assert answer == wanted
    first = client.using(session)
    assert await first.call("users.account.GetUserInfo") == wanted
    second, third = [await client.signed_in(one.login, PASSWORD) for _ in range(2)]
    listed = (await first.auth("GetSessions"))["sessions"]
    assert [each["current"] for each in listed] == [True, False, False]
    assert session not in json.dumps(listed)
    assert (await first.auth("GetTokens"))["apiTokens"] == []
    assert await first.refused("GetTokens", ids=listed[1]["id"]) == NOT_FOUND
    assert await first.refused("DeleteTokens", ids=listed[1]["id"], password=PASSWORD) == NOT_FOUND
    await first.auth("SignoutSessions", ids=listed[1]["id"])
    assert await second.refused("GetTokens") == NO_SESSION
    assert await first.refused("SignoutSessions", ids=f"{listed[1]['id']},{listed[2]['id']}") == NOT_FOUND
    made = await third.made(apiList=f"{AUTHENTICATION}.GetTokens")
    await third.auth("Signout")
    assert await third.refused("GetTokens") == NO_SESSION
    assert await client.using(made["key"]).auth("GetTokens")
    await first.auth("SignoutSessions", ids="*")
    assert await first.refused("Signout") == NO_SESSION
    assert await client.using(made["key"]).auth("GetTokens")


async def test_wrong_credentials_have_their_own_codes(all_of_it: World) -> None:
    client = all_of_it.client()
    for login, password in ((all_of_it.person.login, "wrong"), ("nobody@ours.example.org", PASSWORD), ("", "")):
        assert await client.refused("Signin", login=login, password=password) == WRONG_PASSWORD
    assert await client.refused("Signin", login=all_of_it.person.login) == INVALID
    for session in ("", "0" * 40, "nonsense", "two words", "cfl_user_" + "0" * 49):
        assert await client.using(session).refused("GetTokens") == NO_SESSION


async def test_a_user_with_one_time_codes_sends_one_with_every_password(all_of_it: World) -> None:
    one = await person(all_of_it.admin, scopes=("virtuozzo.*",))
    codes = await one.enrolled()
    client = all_of_it.client()
    assert await client.refused("Signin", login=one.login, password=PASSWORD) == WRONG_PASSWORD
    signed = await client.auth("Signin", login=one.login, password=PASSWORD, code=codes[0])
    client = client.using(signed["session"])
    assert await client.refused("CreateToken", description="a", password=PASSWORD) == WRONG_PASSWORD
    assert (await client.change("CreateToken", description="a", code=codes[1]))["token"]["key"]


async def test_every_refusal_is_a_200_with_a_code(all_of_it: World) -> None:
    client = await all_of_it.member()

    async def requested(verb: str, path: str, **more: Any) -> tuple[int, Any]:
        async with all_of_it.http.request(verb, path, **more) as answer:
            assert answer.content_type == "application/json"
            assert "WWW-Authenticate" not in answer.headers
            return answer.status, msgspec.json.decode(await answer.read() or b"null")

    create, form = f"{ROOT}/users/authentication/rest/createtoken", {"session": client.session, "password": PASSWORD}
    for verb, path, code, more in (
        ("GET", "/virtuozzo", NOT_FOUND, {}),
        ("GET", f"{ROOT}/users/authentication/createtoken", NOT_FOUND, {}),
        ("PUT", create, INVALID, {}),
        ("DELETE", f"{ROOT}/environment/control/rest/stopenv", INVALID, {}),
        ("POST", create, INVALID, {"json": form}),
        ("POST", create, INVALID, {"data": {**form, "description": "x" * 70_000}}),
        ("POST", create, INVALID, {"data": form}),
        ("POST", create, INVALID, {"data": {**form, "description": "x" * 256}}),
        ("POST", create, INVALID, {"data": {**form, "description": "a", "expiresAt": "soon"}}),
        ("POST", create, INVALID, {"data": {**form, "description": "a", "expiresAt": "2020-01-01 00:00:00"}}),
        ("POST", create, INVALID, {"data": {**form, "description": "a", "apiList": "nothing"}}),
        ("POST", create, INVALID, {"data": {**form, "description": "\u202e"}}),
        ("POST", create, NO_SESSION, {"data": {"description": "a"}}),
        ("POST", f"{create}?session=a&session=b", INVALID, {}),
        ("GET", f"{ROOT}/users/authentication/rest/gettokens?ids=%00", INVALID, {}),
        ("GET", f"{ROOT}/users/authentication/rest/gettokens?ids=99999999999&session={client.session}", INVALID, {}),
    ):
        status, body = await requested(verb, path, **more)
        assert (status, body["result"]) == (200, code), (verb, path, body)
        assert set(body) == {"result", "error", "reason", "source"}
        assert body["error"]


async def test_too_many_requests_are_a_server_error(
    postgres_server: Postgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = tmp_path_factory.mktemp("limited")
    async with world(postgres_server, template, where, "virtuozzo_limited", RATE_LIMIT="6/1h") as limited:
        client = await limited.member()
        codes = [(await client.call(f"{AUTHENTICATION}.GetTokens"))["result"] for _ in range(8)]
        assert codes[0] == 0
        assert codes[-1] == SERVER


async def test_no_session_password_or_parameter_is_logged(all_of_it: World, caplog: pytest.LogCaptureFixture) -> None:
    client = await all_of_it.member()
    with capture_logs() as logs:
        made = await client.made("a-description-of-ours", apiList=f"{AUTHENTICATION}.GetTokens")
        await client.using(made["key"]).auth("GetTokens", ids=made["id"])
        await client.refused("CreateToken", description="a-description-of-ours", password="not-the-password")
        await client.using(made["key"]).refused("RegenerateToken", id=made["id"], password=PASSWORD)
        await client.change("DeleteTokens", ids=made["id"])
        await client.using(made["key"]).refused("GetTokens")
    reported = f"{logs} {caplog.text}"
    assert len(logs) >= 6
    assert "createtoken" in reported
    for secret in (client.session, made["key"], PASSWORD, "not-the-password", "a-description-of-ours", "?"):
        assert secret not in reported
    metrics = (await all_of_it.admin.get("/metrics")).body.decode()
    assert "createtoken" in metrics
    assert PASSWORD not in metrics
    assert made["key"] not in metrics


async def test_the_dialect_has_its_own_openapi_document(all_of_it: World) -> None:
    described = (await all_of_it.admin.get("/virtuozzo/openapi.json")).json
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []
    create = described["paths"][f"{ROOT}/users/authentication/rest/createtoken"]
    assert create["get"]["security"] == [{"session": []}]
    assert {"description", "password", "apiList"} <= {each["name"] for each in create["post"]["parameters"]}
    assert set(create["post"]["responses"]) == {"200"}
    shape = create["post"]["responses"]["200"]["content"]["application/json"]
    assert len(shape["schema"]["anyOf"]) == 2
    assert "not-found" not in shape["examples"]
