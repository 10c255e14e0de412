"""Tokens through PyPI `py-jelastic`, `jelastic-client` and `jelapi`, unpatched."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import jelapi
from jelastic import Jelastic
from jelastic.api.exceptions import JelasticApiError
from jelastic_client import JelasticClientFactory
from jelastic_client.core import ApiClient, JelasticClientException


def refusal(call: Callable[[], Any]) -> Any:
    try:
        call()
    except JelasticApiError as error:
        return [type(error).__name__, str(error)]
    except JelasticClientException as error:
        return [type(error).__name__, str(error)]
    except jelapi.JelapiException as error:
        return [type(error).__name__, str(error)]
    return None


def forms(execute: Callable[..., Any], password: str) -> dict[str, Any]:
    """The whole life of a token by POST, with a client that only has a generic call."""

    def call(function: str, **parameters: Any) -> Any:
        return execute(f"Users.Authentication.{function}", **parameters)

    made = call("CreateToken", description="made by POST", password=password, apiList="", expiresAt=None)["token"]
    named = {"password": password, "id": made["id"]}
    edited = call("EditToken", **named, apiList="environment.control.StartEnv,env.control.StopEnv")["token"]
    again = call("RegenerateToken", **named)["token"]
    listed = call("GetTokens", ids=made["id"])["apiTokens"]
    call("DeleteTokens", password=password, ids=f"{made['id']};")
    return {
        "made": made["apiListItems"],
        "edited": sorted(each["method"] for each in edited["apiListItems"]),
        "regenerated": again["id"] == made["id"] and again["key"] != made["key"],
        "listed": [each["description"] for each in listed],
        "left": [each["id"] for each in call("GetTokens")["apiTokens"] if each["id"] == made["id"]],
    }


def main(given: dict[str, Any]) -> dict[str, Any]:
    base, login, password = f"{given['url']}/virtuozzo", given["member_email"], given["member_password"]
    told: dict[str, Any] = {}
    with Jelastic(base, "") as visitor:
        told["wrong"] = refusal(lambda: visitor.users.Authentication.Signin(login, "wrong password"))
        session = visitor.users.Authentication.Signin(login, password)["session"]
    with Jelastic(base, session) as user:
        tokens = user.users.Authentication
        made = tokens.CreateToken(
            description="made by py-jelastic",
            password=password,
            api_list=["env.control.GetEnvInfo", "users.account.GetUserInfo"],
            expires_at=datetime(2090, 1, 1),
        )["token"]
        told["made"] = made
        told["no password"] = refusal(lambda: tokens.CreateToken(description="unconfirmed"))
        told["listed"] = [each for each in tokens.GetTokens()["apiTokens"] if each["id"] == made["id"]]
        told["edited"] = tokens.EditToken(id=made["id"], password=password, description="edited")["token"]
        told["templates"] = [each["name"] for each in tokens.GetTokenTemplates()["templates"]]
        told["methods"] = len(tokens.GetTokenApiList()["tokenPermissions"])
        told["unknown"] = refusal(lambda: tokens.EditToken(id=999_999, password=password, description="x"))
        with Jelastic(base, made["key"]) as holder:
            told["permission"] = refusal(holder.users.Authentication.GetTokens)
            told["environment"] = holder.environment.Control.GetEnvInfo(env_name="my-project")
        factory = JelasticClientFactory(f"{base}/1.0", made["key"])
        told["runs"] = factory.create_control_client().get_env_info("my-project").is_running()
        told["may not stop"] = refusal(lambda: factory.create_control_client().stop_env("my-project"))
        account = factory.create_account_client()
        told["e-mail"] = account.get_user_info().email()
        jelapi.api_url, jelapi.api_token = f"{base}/1.0/", made["key"]
        told["jelapi"] = jelapi.api_connector()._("users.account.GetUserInfo")["email"]
        told["jelapi refused"] = refusal(lambda: jelapi.api_connector()._("users.authentication.GetTokens"))
        again = tokens.RegenerateToken(ids=str(made["id"]), password=password)["token"]
        told["regenerated"] = again
        told["old key"] = refusal(account.get_user_info)
        told["deleted"] = tokens.DeleteTokens(ids=str(made["id"]), password=password)["result"]
        dead = JelasticClientFactory(f"{base}/1.0", again["key"]).create_account_client()
        told["dead"] = refusal(dead.get_user_info)
        told["by jelastic-client"] = forms(ApiClient(f"{base}/1.0", session).execute, password)
        jelapi.api_token = session
        told["by jelapi"] = forms(jelapi.api_connector()._, password)
        told["signed out"] = tokens.Signout()["result"]
        told["session over"] = refusal(tokens.GetTokens)
    return told


print(json.dumps(main(json.load(sys.stdin))))
