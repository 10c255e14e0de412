"""Passwords, seeds and codes in the traffic of users: valid, repeated and wrong."""

import json
from time import time
from typing import Any

from pyotp import TOTP

from api.service import basic
from security.traffic import Caller


async def meet_people(caller: Caller) -> None:
    """All uses of a password: generated, used, mistyped, protected by codes, exchanged, reset and removed."""
    email = "somebody@people.example.org"
    made = await told(caller, "/v1/users", {"email": email, "role": "member"}, Idempotency_Key=caller.key())
    user, password = made["user"]["id"], caller.know("a password", made["password"])
    caller.know("credentials", basic(email, password).removeprefix("Basic "))
    await caller.said("GET", "/v1/users/self", Authorization=basic(email, password))
    await caller.said("GET", "/v1/users/self", Authorization=basic(email, caller.know("a wrong one", f"{password}!")))
    codes = await enrol(caller, email, password)
    with_code = {"Authorization": basic(email, password), "X_Authorization_OTP": codes[0]}
    bought = await told(caller, "/v1/login", {}, **with_code)
    secret = caller.know("a login", bought["issued"]["secret"])
    await caller.said("GET", "/v1/tokens/self", Authorization=f"Bearer {secret}")
    await caller.said("GET", "/v1/users/self", **with_code)  # a code is accepted once
    own = caller.know("a password of one's own", "cork nimbus 71 lantern fjord")
    with_code["X_Authorization_OTP"] = codes[1]
    await caller.said("POST", "/v1/users/self/password", {"password": own}, **with_code)
    await caller.said("POST", "/v1/users", {"email": own.replace(" ", "@", 1), "role": "member", "password": "short"})
    reset = await told(caller, f"/v1/users/{user}/password", {})
    caller.know("a password after a reset", reset["password"])
    for method, path in (("GET", "/v1/users"), ("GET", f"/v1/users/{user}/events"), ("GET", f"/v1/users/{user}")):
        assert await caller.said(method, path) == 200
    await caller.said("POST", f"/v1/users/{user}/remove", {"reason": "left"})


async def enrol(caller: Caller, email: str, password: str) -> list[str]:
    """Begin, send a wrong code, and confirm; return the recovery codes."""
    asking = {"Authorization": basic(email, password)}
    seed = caller.know("a seed", (await told(caller, "/v1/users/self/totp", {}, **asking))["secret"])
    caller.scanner.know("the bytes of a seed", TOTP(seed).byte_secret())
    await caller.said("POST", "/v1/users/self/totp/confirm", {"code": "000000"}, **asking)
    confirmed = await told(caller, "/v1/users/self/totp/confirm", {"code": TOTP(seed).at(time())}, **asking)
    return [caller.know("a recovery code", code) for code in confirmed["recovery_codes"]]


async def told(caller: Caller, path: str, body: object, /, **headers: str) -> Any:
    """Send a request whose answer shows a secret this once."""
    status, answer = await caller.ask("POST", path, body, **headers)
    assert status in (200, 201), answer
    return json.JSONDecoder().raw_decode(answer.decode())[0]
