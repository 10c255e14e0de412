"""A token's whole life through PyPI `losant-rest`, unpatched."""

import json
import sys
from collections.abc import Callable
from typing import Any

from losant_rest import Client, LosantError


def refusal(call: Callable[[], Any]) -> Any:
    try:
        call()
    except LosantError as error:
        status, said = error.args
        return [status, said.get("type"), said.get("message")]
    return None


def turned(many: Any, application: str) -> Any:
    """Page through three tokens, the last name first."""
    for name in ("page 1", "page 2", "page 3"):
        many.post(applicationId=application, apiToken={"name": name, "scope": ["all.Application.read"]})
    asked = {"sortField": "name", "sortDirection": "desc", "perPage": 2, "filterField": "name", "filter": "page *"}
    pages = [many.get(applicationId=application, page=page, **asked) for page in range(3)]
    return [[page["count"], page["totalCount"], [each["name"] for each in page["items"]]] for page in pages]


def main(given: dict[str, Any]) -> dict[str, Any]:
    client = Client(url=f"{given['url']}/losant")
    application = given["application_id"]
    wrong = refusal(
        lambda: client.auth.authenticate_user(credentials={"email": given["admin_email"], "password": "wrong word"})
    )
    credentials = {"email": given["admin_email"], "password": given["admin_password"]}
    login = client.auth.authenticate_user(credentials=credentials)
    client.auth_token = login["token"]
    many, one = client.application_api_tokens, client.application_api_token
    created = many.post(applicationId=application, apiToken={"name": "made by losant-rest", "status": "active"})
    named = {"applicationId": application, "apiTokenId": created["id"]}
    itself = Client(auth_token=created["token"], url=f"{given['url']}/losant")
    told: dict[str, Any] = {
        "wrong": wrong,
        "login": sorted(login),
        "created": created,
        "listed": many.get(applicationId=application, perPage=1, page=0, filterField="name", filter="made*"),
        "got": one.get(**named),
        "by itself": itself.application_api_tokens.get(applicationId=application)["totalCount"],
        "patched": one.patch(**named, apiToken={"description": "changed", "status": "inactive"}),
        "inactive": refusal(lambda: itself.application_api_tokens.get(applicationId=application)),
        "active": one.patch(**named, apiToken={"status": "active"})["status"],
        "closed": refusal(lambda: one.patch(**named, apiToken={"scope": []})),
        "unknown": refusal(lambda: one.get(applicationId=application, apiTokenId="0" * 24)),
        "elsewhere": refusal(lambda: many.get(applicationId="0" * 24)),
        "nameless": refusal(lambda: many.post(applicationId=application, apiToken={})),
        "pages": turned(many, application),
        "deleted": one.delete(**named),
        "gone": refusal(lambda: one.get(**named)),
        "dead": refusal(lambda: itself.application_api_tokens.get(applicationId=application)),
    }
    return told


print(json.dumps(main(json.load(sys.stdin))))
