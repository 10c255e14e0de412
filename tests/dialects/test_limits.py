"""Limits of a token, a network or a login apply in every dialect, with the same counters as natively."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import time
from typing import Any, Final

import pytest
from pyotp import TOTP

from api.service import Answer, basic
from counterfoil.core.secret import mint
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from dialects.pair import GUESSES, HERE, THERE, Pair, pair_of

OFFICE: Final = "192.0.2.0/24"
VIRTUOZZO: Final = "/virtuozzo/1.0/users/authentication/rest"


@pytest.fixture
async def pair(database: Database, valkey: Valkey, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_of(database, valkey, tmp_path) as opened:
        yield opened


async def at_scalingo(pair: Pair, secret: str, **where: Any) -> Answer:
    return await pair.caller(basic("", secret), **where).post("/scalingo/v1/tokens/exchange")


async def at_canvus(pair: Pair, secret: str, **where: Any) -> Answer:
    caller = pair.caller(Private_Token=secret, **where)
    return await caller.get(f"/canvus/api/v1/users/{pair.account.admin_user_number}/access-tokens")


async def at_cloudflare(pair: Pair, secret: str, **where: Any) -> Answer:
    caller = pair.caller(f"Bearer {secret}", **where)
    return await caller.get(f"/cloudflare/client/v4/accounts/{pair.account.account.hex}/access/service_tokens")


async def at_losant(pair: Pair, secret: str, **where: Any) -> Answer:
    caller = pair.caller(f"Bearer {secret}", **where)
    return await caller.get(f"/losant/applications/{pair.account.application_id}/tokens")


async def at_virtuozzo(pair: Pair, secret: str, **where: Any) -> Answer:
    return await pair.caller(**where).form(f"{VIRTUOZZO}/gettokens", session=secret)


async def natively(pair: Pair, secret: str, **where: Any) -> Answer:
    return await pair.caller(f"Bearer {secret}", **where).get("/v1/tokens/self")


Presenting = Callable[..., Awaitable[Answer]]
DIALECTS: Final[dict[str, Presenting]] = {
    "scalingo": at_scalingo,
    "canvus": at_canvus,
    "cloudflare": at_cloudflare,
    "losant": at_losant,
    "virtuozzo": at_virtuozzo,
}
SHAPES: Final = {
    "scalingo": {"error"},
    "canvus": {"msg", "message"},
    "cloudflare": {"errors", "messages", "result", "success"},
    "losant": {"type", "message"},
    "virtuozzo": {"result", "error", "reason", "source"},
}
CODES: Final = {401: 701, 403: 8, 429: 99}
"""What Virtuozzo's clients, who are always answered with 200, are told."""


def status(dialect: str, answer: Answer) -> int:
    """The status that the answer means; refusals have the vendor's form."""
    refused = answer.status >= 400 or (dialect == "virtuozzo" and answer.json["result"] != 0)
    if not refused:
        return answer.status
    assert set(answer.json) >= SHAPES[dialect], answer.body
    assert "urn:" not in answer.body.decode()
    if dialect != "virtuozzo":
        return answer.status
    return next((status for status, code in CODES.items() if code == answer.json["result"]), 0)


async def of_admin(pair: Pair, **fields: Any) -> str:
    """The secret of a token that acts for the administrator."""
    owner = {"type": "user", "id": str(pair.account.admin_user_id)}
    return str((await pair.native.issue(owner=owner, scopes=["all"], **fields))["secret"])


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_token_has_one_rate_limit_for_all_apis_over_both_processes(pair: Pair, dialect: str) -> None:
    secret, present = await of_admin(pair, rate_limit="4/10m"), DIALECTS[dialect]
    assert [status(dialect, await present(pair, secret, process=n % 2)) for n in range(2)] == [200, 200]
    assert [(await natively(pair, secret, process=n)).status for n in range(2)] == [200, 200]
    refused = await present(pair, secret, process=1)
    assert status(dialect, refused) == 429
    assert 500 < int(refused.headers["Retry-After"]) <= 600
    assert (await natively(pair, secret)).problem == "rate-limited"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_token_has_one_number_of_uses_for_all_apis_over_both_processes(pair: Pair, dialect: str) -> None:
    secret, present = await of_admin(pair, max_uses=4), DIALECTS[dialect]
    assert [status(dialect, await present(pair, secret, process=n % 2)) for n in range(2)] == [200, 200]
    assert [(await natively(pair, secret, process=n)).status for n in range(2)] == [200, 200]
    assert status(dialect, await present(pair, secret, process=1)) == 401
    assert (await natively(pair, secret)).problem == "uses-exhausted"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_token_is_accepted_only_from_its_networks(pair: Pair, dialect: str) -> None:
    secret, present = await of_admin(pair, networks=[OFFICE]), DIALECTS[dialect]
    assert status(dialect, await present(pair, secret, at=HERE)) == 200
    assert status(dialect, await present(pair, secret, at=THERE)) == 403
    assert status(dialect, await present(pair, secret, at=HERE, process=1)) == 200


async def test_guesses_are_counted_together_for_all_apis(pair: Pair) -> None:
    secret, reported = await of_admin(pair), []
    for n in range(GUESSES):
        dialect = list(DIALECTS)[n % len(DIALECTS)]
        reported.append(status(dialect, await DIALECTS[dialect](pair, mint("user").plain, process=n % 2)))
    assert reported == [401] * GUESSES
    for dialect, present in DIALECTS.items():
        refused = await present(pair, mint("user").plain)
        assert status(dialect, refused) == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert status(dialect, await present(pair, mint("user").plain, at=THERE)) == 401
    assert (await natively(pair, secret, at=THERE)).status == 200


class Someone:
    """A user who logs in to each dialect."""

    def __init__(self, pair: Pair, made: Any, password: str) -> None:
        self.pair, self.login, self.password, self.seed = pair, made["login"], password, ""

    def code(self, later: int = 0) -> str:
        return TOTP(self.seed).at(time(), counter_offset=later)

    async def at(self, dialect: str, *, code: str = "", password: str = "", where: str = HERE) -> Answer:
        """Log in with a password and optionally a code."""
        given, caller = password or self.password, self.pair.caller(at=where)
        coded = {"X-Authorization-OTP": code} if code else {}
        match dialect:
            case "scalingo":
                caller = self.pair.caller(basic(self.login, given), at=where)
                return await caller.post("/scalingo/v1/tokens", {"token": {"name": "of a login"}}, **coded)
            case "canvus":
                body = {"email": self.login, "password": given}
                return await caller.post("/canvus/api/v1/users/login", body, **coded)
            case "losant":
                body = {"email": self.login, "password": given}
                return await caller.post("/losant/auth/user", body | ({"twoFactorCode": code} if code else {}))
        return await caller.form(
            f"{VIRTUOZZO}/signin", login=self.login, password=given, **({"code": code} if code else {})
        )


LOGINS: Final = ("scalingo", "canvus", "losant", "virtuozzo")


async def someone(pair: Pair) -> Someone:
    password = "correct mule accumulator nail"
    made = await pair.native.post(
        "/v1/users", {"email": "someone@ours.example.org", "role": "member", "password": password}
    )
    assert made.status == 201, made.body
    return Someone(pair, made.json["user"], password)


def logged_in(dialect: str, answer: Answer) -> bool:
    if dialect == "virtuozzo":
        assert answer.json["result"] in (0, 702), answer.body
        return bool(answer.json["result"] == 0)
    assert answer.status in (200, 201, 401), answer.body
    return answer.status != 401


@pytest.mark.parametrize("dialect", LOGINS)
async def test_a_user_with_one_time_codes_logs_in_with_each_code_once(pair: Pair, dialect: str) -> None:
    ada = await someone(pair)
    assert logged_in(dialect, await ada.at(dialect))
    caller = pair.caller(basic(ada.login, ada.password))
    ada.seed = (await caller.post("/v1/users/self/totp")).json["secret"]
    assert (await caller.post("/v1/users/self/totp/confirm", {"code": ada.code(-1)})).status == 200
    for wrong in ("", "000000", "abc"):
        assert not logged_in(dialect, await ada.at(dialect, code=wrong))
    code = ada.code()
    assert logged_in(dialect, await ada.at(dialect, code=code))
    assert not logged_in(dialect, await ada.at(dialect, code=code)), "a code is good once"


async def test_failed_logins_are_counted_together_for_all_apis(pair: Pair) -> None:
    ada = await someone(pair)
    for n in range(5):
        assert not logged_in(LOGINS[n % 4], await ada.at(LOGINS[n % 4], password="nothing of the kind"))
    for dialect in LOGINS:
        refused = await ada.at(dialect)
        assert status(dialect, refused) == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 15
        assert logged_in(dialect, await ada.at(dialect, where=THERE))
    natively_asked = await pair.caller(basic(ada.login, ada.password)).get("/v1/users/self")
    assert natively_asked.problem == "rate-limited"


async def test_a_wrong_password_beside_a_valid_session_counts_as_a_failed_login(pair: Pair) -> None:
    ada = await someone(pair)
    session = (await ada.at("virtuozzo")).json["session"]
    for n in range(5):
        wrong = await pair.caller(process=n % 2).form(
            f"{VIRTUOZZO}/createtoken", session=session, password="nothing of the kind", description="a token"
        )
        assert wrong.json["result"] == 702
    assert status("virtuozzo", await ada.at("virtuozzo")) == 429
    assert status("losant", await ada.at("losant")) == 429
