"""Verification exists once: all APIs give the same verdict on the same credentials at the same moment."""

import asyncio
from typing import Any

from api.service import Answer, Caller, basic
from counterfoil.core.secret import mint
from dialects.accounts import Account
from dialects.cloudflare import of_account

SCOPE = "own.read"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class Judges:
    """All operations that verify a token's secret or bearer, called by the administrator of one account."""

    def __init__(self, native: Caller, account: Account) -> None:
        self.native, self.account = native, account

    async def of_secret(self, token: str, secret: str) -> dict[str, bool]:
        """The verdict of each on a secret, and on the pair of the token's id and it."""
        edge = of_account(self.native, self.account)
        canvus = Caller(self.native.session, "", {"Private-Token": secret})
        tokens = f"/canvus/api/v1/users/{self.account.member_user_number}/access-tokens"
        bare = token.replace("-", "")
        return {
            **await self.of_either(secret),
            "basic": _good(await self.caller(basic(token, secret)).get("/v1/tokens/self")),
            "pair": await self.passes({"X-Client-Id": token, "X-Client-Secret": secret}),
            "access": await self.passes({"CF-Access-Client-Id": f"{bare}.access", "CF-Access-Client-Secret": secret}),
            "verify": await edge.accepts({"client_id": f"{bare}.access"}, secret),
            "exchange": _good(await self.caller(f"Bearer {secret}").post("/v1/exchange")),
            "scalingo": _good(await self.caller(basic("", secret)).post("/scalingo/v1/tokens/exchange")),
            "canvus": (await canvus.get(tokens)).status != 401,
        }

    async def of_either(self, shown: str) -> dict[str, bool]:
        """The verdicts of those that also accept a bearer."""
        requested = await self.native.form("/v1/introspect", token=shown)
        bought = await self.caller("").form(
            "/v1/oauth/token", grant_type=EXCHANGE, subject_token=shown, subject_token_type=ACCESS_TOKEN
        )
        return {
            "itself": _good(await self.caller(f"Bearer {shown}").get("/v1/tokens/self")),
            "introspection": bool(requested.json["active"]),
            "forward": await self.passes({"Authorization": f"Bearer {shown}"}),
            "oauth": _good(bought, refused=400),
        }

    async def passes(self, headers: dict[str, str]) -> bool:
        """Whether a proxy of this account accepts a request."""
        proxy = Caller(self.native.session, "", headers)
        return _good(await proxy.get("/v1/forward", account=self.account.account, scope=SCOPE))

    def caller(self, credentials: str) -> Caller:
        return Caller(self.native.session, credentials)


def _good(answer: Answer, *, refused: int = 401) -> bool:
    assert answer.status in (200, refused), answer.body
    return answer.status == 200


def unanimous(result: dict[str, bool]) -> bool:
    """The common verdict of all."""
    assert len(set(result.values())) == 1, result
    return all(result.values())


async def issued(native: Caller, here: Account, **fields: object) -> Any:
    """A token of the member that every operation may verify."""
    owner = {"type": "user", "id": str(here.member_user_id)}
    return await native.issue(owner=owner, scopes=[SCOPE], **fields)


async def test_all_verdicts_agree_through_the_life_of_a_token(native: Caller, here: Account) -> None:
    judges, made = Judges(native, here), await issued(native, here)
    token, first = made["token"]["id"], made["secret"]
    bearer = (await native.with_token(first).post("/v1/exchange")).json["access_token"]

    async def result(secret: str) -> bool:
        return unanimous(await judges.of_secret(token, secret))

    async def done(what: str, body: object) -> Any:
        answer = await native.post(f"/v1/tokens/{token}/{what}", body)
        assert answer.status == 200, answer.body
        return answer.json

    assert await result(first)
    assert unanimous(await judges.of_either(bearer))
    for what, body, good in (("suspend", {"reason": "a look"}, False), ("resume", {}, True)):
        await done(what, body)
        assert (await result(first), unanimous(await judges.of_either(bearer))) == (good, good)
    second = (await done("rotate", {"grace": "1h"}))["secret"]
    assert (await result(first), await result(second), unanimous(await judges.of_either(bearer))) == (True, True, True)
    third = (await done("rotate", {"grace": "0s"}))["secret"]
    assert (await result(first), await result(second), await result(third)) == (False, False, True)
    assert not unanimous(await judges.of_either(bearer))
    await done("revoke", {"reason": "the end"})
    assert not await result(third)


async def test_all_verdicts_agree_on_foreign_credentials(native: Caller, native_there: Caller, here: Account) -> None:
    judges, made = Judges(native, here), await issued(native, here)
    token = made["token"]["id"]
    for nobodys in (mint("user").plain, made["secret"][:-1] + ("x" if made["secret"][-1] != "x" else "y"), "x"):
        assert not unanimous(await judges.of_secret(token, nobodys))
    # A token of another account is accepted there; here every verdict is that on an unknown one.
    theirs = await native_there.issue(scopes=[SCOPE])
    bearer = (await native_there.with_token(theirs["secret"]).post("/v1/exchange")).json["access_token"]
    of_secret = await judges.of_secret(theirs["token"]["id"], theirs["secret"])
    asked_by_us = ("introspection", "forward", "pair", "access", "verify")
    assert [of_secret[judge] for judge in asked_by_us] == [False] * 5
    assert of_secret["itself"]
    of_bearer = await judges.of_either(bearer)
    assert [of_bearer[judge] for judge in ("introspection", "forward", "itself")] == [False, False, True]


async def test_a_secret_with_another_tokens_id_is_unknown_to_all(native: Caller, here: Account) -> None:
    judges = Judges(native, here)
    one, other = await issued(native, here), await issued(native, here)
    result = await judges.of_secret(other["token"]["id"], one["secret"])
    assert [result[judge] for judge in ("basic", "pair", "access", "verify")] == [False] * 4


async def test_an_expiry_applies_to_all_verdicts(native: Caller, here: Account) -> None:
    judges = Judges(native, here)
    made = await issued(native, here, lifetime="3s")
    token, secret = made["token"]["id"], made["secret"]
    bearer = (await native.with_token(secret).post("/v1/exchange")).json["access_token"]
    await asyncio.sleep(3)
    assert (await native.get(f"/v1/tokens/{token}")).json["status"] == "expired"
    assert not unanimous(await judges.of_secret(token, secret))
    assert not unanimous(await judges.of_either(bearer))
