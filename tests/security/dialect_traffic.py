"""Secrets in the traffic of vendors' clients: in headers of many names, query strings, forms and bodies."""

import json
from typing import Any
from urllib.parse import urlencode

from security.traffic import FORM, Caller, basic

SCALINGO, CLOUDFLARE = "/scalingo/v1/tokens", "/cloudflare/client/v4/accounts"
CANVUS, LOSANT, VIRTUOZZO = "/canvus/api/v1/users", "/losant", "/virtuozzo/1.0/users/authentication/rest"


async def speak_dialects(caller: Caller) -> None:
    """Create, use, rotate, mistype and revoke a token through every dialect."""
    await _scalingo(caller)
    await _cloudflare(caller)
    await _canvus(caller)
    await _virtuozzo(caller)
    await _losant(caller)


async def _told(caller: Caller, method: str, path: str, body: object = None, /, **headers: str) -> Any:
    """Send a request whose answer shows a secret this once."""
    status, answer = await caller.ask(method, path, body, **headers)
    assert status in (200, 201), answer
    return json.JSONDecoder().raw_decode(answer.decode())[0]


async def _scalingo(caller: Caller) -> None:
    password = basic(caller.credentials["admin_login"], caller.credentials["admin_password"])
    made = (await _told(caller, "POST", SCALINGO, {"token": {"name": "by scalingo"}}, Authorization=password))["token"]
    value = caller.know("a token of scalingo's form", made["token"])
    jwt = await _told(caller, "POST", f"{SCALINGO}/exchange", Authorization=basic("", value))
    bearer = f"Bearer {caller.know('a bearer for scalingo', jwt['token'])}"
    assert await caller.said("GET", SCALINGO, Authorization=bearer) == 200
    assert await caller.said("GET", SCALINGO, Authorization=f"Bearer {value}") == 401
    assert await caller.said("POST", SCALINGO, {"name": value}, Authorization=f"Basic {value}") == 401
    path = f"{SCALINGO}/{made['id']}"
    renewed = await _told(caller, "PATCH", f"{path}/renew", Authorization=bearer, Idempotency_Key=caller.key())
    value = caller.know("a renewed token", renewed["token"]["token"])
    assert await caller.said("POST", f"{SCALINGO}/exchange?token={value}", Authorization=basic("", value)) == 400
    again = await _told(caller, "POST", f"{SCALINGO}/exchange", Authorization=basic("", value))
    bearer = f"Bearer {caller.know('another bearer', again['token'])}"
    assert await caller.said("DELETE", path, Authorization=bearer) == 204


async def _cloudflare(caller: Caller) -> None:
    tokens = f"{CLOUDFLARE}/{caller.credentials['account'].replace('-', '')}/access/service_tokens"
    made = (await _told(caller, "POST", tokens, {"name": "by cloudflare", "lifetime": "24h"}))["result"]
    secret = caller.know("a client secret", made["client_secret"])
    pair = {"CF_Access_Client_Id": made["client_id"], "CF_Access_Client_Secret": secret}
    assert await caller.said("POST", f"{tokens}/verify", **pair) == 200
    pair["CF_Access_Client_Secret"] = caller.know("a client secret that is wrong", secret[:-8] + "01234567")
    assert await caller.said("GET", f"{tokens}/verify", **pair) == 200
    rotated = await _told(caller, "POST", f"{tokens}/{made['id']}/rotate", {}, Idempotency_Key=caller.key())
    caller.know("another client secret", rotated["result"]["client_secret"])
    raised = await _told(caller, "PUT", f"{tokens}/{made['id']}", {"client_secret_version": 7})
    if "client_secret" in raised["result"]:
        caller.know("a client secret of a version", raised["result"]["client_secret"])
    key = {"X_Auth_Email": caller.credentials["admin_email"], "X_Auth_Key": caller.credentials["admin_token"]}
    assert await caller.said("GET", tokens, Authorization="", **key) == 200
    assert await caller.said("GET", tokens, X_Auth_User_Service_Key=secret) == 400
    assert await caller.said("DELETE", f"{tokens}/{made['id']}") == 200


async def _canvus(caller: Caller) -> None:
    none = {"Authorization": ""}
    login = {"email": caller.credentials["admin_login"], "password": caller.credentials["admin_password"]}
    session = caller.know("a login to canvus", (await _told(caller, "POST", f"{CANVUS}/login", login, **none))["token"])
    tokens = f"{CANVUS}/{caller.credentials['admin_user_number']}/access-tokens"
    made = await _told(caller, "POST", tokens, {"description": "by canvus"}, Private_Token=session, **none)
    plain = caller.know("a plain token", made["plain_token"])
    assert await caller.said("GET", tokens, Private_Token=plain, **none) == 200
    assert await caller.said("GET", f"{tokens}/{plain}?token={plain}", Private_Token=plain, **none) == 400
    longer = await _told(caller, "POST", f"{CANVUS}/login", {"token": plain}, **none)
    assert (
        await caller.said("POST", f"{CANVUS}/logout", {"token": caller.know("a longer login", longer["token"])}) == 200
    )
    wrong = {**login, "password": caller.know("a wrong password", f"{login['password']}?")}
    assert await caller.said("POST", f"{CANVUS}/login", wrong, **none) == 401
    assert await caller.said("DELETE", f"{tokens}/{made['id']}", Private_Token=plain, **none) == 200
    assert await caller.said("GET", tokens, Private_Token=plain, **none) == 401


async def _virtuozzo(caller: Caller) -> None:
    password = caller.credentials["admin_password"]

    async def call(function: str, fields: dict[str, str], *, post: bool, shows: bool = False) -> Any:
        sent, path = urlencode(fields), f"{VIRTUOZZO}/{function}"
        asked = ("POST", path, sent.encode()) if post else ("GET", f"{path}?{sent}", None)
        ask = _told(caller, *asked, **form) if shows else caller.said(*asked, **form)
        return await ask

    form = {"Authorization": "", "Content_Type": FORM}
    who = {"login": caller.credentials["admin_login"], "password": password}
    for post in (False, True):
        session = caller.know("a session", (await call("signin", who, post=post, shows=True))["session"])
        ours = {"session": session, "password": password}
        made = (await call("createtoken", ours | {"description": "by jelastic"}, post=post, shows=True))["token"]
        key, one = caller.know("a key", made["key"]), {"id": str(made["id"])}
        await call("gettokens", {"session": key}, post=post)
        await call("edittoken", ours | one | {"description": "again"}, post=post)
        await call("edittoken", ours | one | {"password": caller.know("a slip", f"{password}.")}, post=post)
        again = await call("regeneratetoken", ours | one, post=post, shows=True)
        fresh = caller.know("a regenerated key", again["token"]["key"])
        await call("createtoken", {"session": key, "description": key, "apiList": key}, post=post)
        gate = "../../../environment/control/rest/stopenv"
        await call(gate, {"session": fresh, "envName": "my-project"}, post=post)
        await call("deletetokens", ours | {"ids": str(made["id"])}, post=post)
        await call("signout", {"session": session}, post=post)


async def _losant(caller: Caller) -> None:
    login = {"email": caller.credentials["admin_login"], "password": caller.credentials["admin_password"]}
    session = (await _told(caller, "POST", f"{LOSANT}/auth/user", login, Authorization=""))["token"]
    bearer = f"Bearer {caller.know('a login to losant', session)}"
    tokens = f"{LOSANT}/applications/{caller.credentials['application_id']}/tokens"
    made = await _told(
        caller, "POST", tokens, {"name": "by losant"}, Authorization=bearer, Idempotency_Key=caller.key()
    )
    own = f"Bearer {caller.know('a token of an application', made['token'])}"
    assert await caller.said("GET", tokens, Authorization=own) == 200
    assert await caller.said("POST", tokens, {"name": made["token"]}, Authorization=own) == 400
    assert await caller.said("GET", f"{tokens}?filter={made['token']}", Authorization=own) == 400
    assert await caller.said("DELETE", f"{tokens}/{made['id']}", Authorization=own) == 200
