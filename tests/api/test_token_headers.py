"""Every reply to a caller with a token says when that token ends; in the last days it says so as a warning."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from api.oauth import ACCESS_TOKEN, TOKEN, as_client, bearer, exchanged
from api.proxy import Asked
from api.proxy import bearer as presenting
from api.service import Answer, Caller, basic
from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.scopes import EVERYTHING
from counterfoil.core.secret import Peppers, mint
from counterfoil.core.subjects.token.commands import Create
from counterfoil.door import Door
from counterfoil.settings import Settings

PEPPERS = Peppers({1: b"p" * 32})
HEADERS = ("Token-Expires-At", "Token-Sunset", "Token-Number", "Token-Replaced")
SOON = 3_600
"""Seconds: the notice of the tokens that `soon` makes, which are due at once."""


def told(answer: Answer) -> dict[str, str]:
    """The headers about the caller's token."""
    assert all(len(answer.headers.getall(name, [])) < 2 for name in HEADERS)
    return {name: answer.headers[name] for name in HEADERS if name in answer.headers}


def expiry(document: Any) -> str:
    """The expiry in a token's document, as the header states it."""
    return f"{datetime.fromisoformat(document['expires_at']).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def far(document: Any) -> dict[str, str]:
    return {"Token-Expires-At": expiry(document)}


def near(document: Any) -> dict[str, str]:
    moment = datetime.fromisoformat(expiry(document))
    sunset = f"{moment:%a, %d %b %Y %H:%M:%S} GMT"
    return {**far(document), "Token-Sunset": sunset, "Token-Number": str(document["number"])}


@pytest.fixture
async def door(api_settings: Settings) -> AsyncIterator[Door]:
    async with Door(api_settings.database_url) as opened:
        yield opened


async def soon(admin: Caller, door: Door, *scopes: str) -> Caller:
    """A token whose notice is due: it lives a little longer than the notice."""
    account = UUID((await admin.get("/v1/tokens/self")).json["account"])
    token_id, secret = uuid7(), mint("service")
    root = Principal(actor=Actor("user", account), account=account, scopes=(EVERYTHING,))
    await door.execute(
        Create(
            account=account, id=token_id, by=root, number=token_id.int % 2**30, owner=Owner("service", "b:1"),
            name="soon", scopes=scopes, secret=PEPPERS.minted(secret), thresholds=(SOON, 60),
            expires_at=datetime.now(UTC) + timedelta(seconds=SOON + 0.2),
        )
    )  # fmt: skip
    await asyncio.sleep(0.3)
    return admin.with_token(secret.plain)


async def test_every_reply_says_when_the_token_ends_and_refusals_of_what_it_wants_do_too(admin: Caller) -> None:
    made = await admin.issue(scopes=["own.read"], lifetime="90d")
    caller = admin.with_token(made["secret"])
    itself = await caller.get("/v1/tokens/self")
    refused = [
        await caller.get("/v1/account"),
        await caller.get("/v1/tokens/9999999"),
        await caller.get("/v1/tokens?x="),
    ]
    assert [answer.problem for answer in refused] == ["scope-missing", "not-found", "invalid-request"]
    same = await caller.ask("GET", "/v1/tokens/self", headers={"If-None-Match": itself.headers["ETag"]})
    bare = await caller.ask("HEAD", "/v1/tokens/self")
    with_id = await Caller(admin.session, basic(made["token"]["id"], made["secret"])).get("/v1/tokens/self")
    for answer in (itself, *refused, same, bare, with_id):
        assert told(answer) == far(made["token"]), answer


async def test_from_the_first_notice_on_there_is_a_sunset_in_the_form_of_rfc_8594(admin: Caller, door: Door) -> None:
    caller = await soon(admin, door)
    answer = await caller.get("/v1/tokens/self")
    assert told(answer) == near(answer.json)
    exact = datetime.fromisoformat(answer.json["expires_at"])
    assert timedelta(0) <= exact - parsedate_to_datetime(answer.headers["Token-Sunset"]) < timedelta(seconds=1)
    assert told(await caller.get("/v1/account")) == near(answer.json), "also where the scope is missing"


async def test_a_life_that_is_shorter_than_every_notice_has_no_sunset(admin: Caller) -> None:
    made = await admin.issue(lifetime="23h")  # the notices are of 30, 7 and 1 days
    assert told(await admin.with_token(made["secret"]).get("/v1/tokens/self")) == far(made["token"])


async def test_without_an_expiry_or_a_token_there_is_nothing_to_say(admin: Caller, ours: dict[str, str]) -> None:
    endless = await admin.holder("own.read")
    assert (await endless.get("/v1/tokens/self")).json["expires_at"] is None
    user = Caller(admin.session, basic(ours["admin_login"], ours["admin_password"]))
    assert (await user.get("/v1/account")).status == 200
    for caller, path in ((endless, "/v1/tokens/self"), (user, "/v1/account"), (Caller(admin.session, ""), "/healthz")):
        assert told(await caller.get(path)) == {}


async def test_a_renewal_of_another_token_says_nothing_about_it_and_moves_its_own_headers(admin: Caller) -> None:
    made = await admin.issue(lifetime="31d")
    renewed = await admin.post(f"/v1/tokens/{made['token']['id']}/renew", {"lifetime": "90d"})
    assert (renewed.status, told(renewed)) == (200, {})
    assert told(await admin.with_token(made["secret"]).get("/v1/tokens/self")) == far(renewed.json)


async def test_a_bearer_ends_with_its_token_and_exchanging_says_so(admin: Caller, door: Door) -> None:
    caller = await soon(admin, door)
    document = (await caller.get("/v1/tokens/self")).json
    secret = caller.credentials.removeprefix("Bearer ")
    client = Caller(admin.session, basic(document["id"], secret))
    bought = await caller.post("/v1/exchange")
    granted = await client.form(TOKEN, grant_type="client_credentials")
    again = await exchanged(admin, bought.json["access_token"])
    used = await admin.with_token(bought.json["access_token"]).get("/v1/tokens/self")
    for answer in (bought, granted, again, used):
        assert (answer.status, told(answer)) == (200, near(document))


async def test_a_token_that_acts_for_another_learns_nothing_of_the_others_end(admin: Caller, door: Door) -> None:
    subject = await soon(admin, door, "own.read")
    actor = await admin.issue(lifetime="90d", owner={"type": "service", "id": "actor"})
    fields = {"actor_token": actor["secret"], "actor_token_type": ACCESS_TOKEN}
    answer = await exchanged(admin, subject.credentials.removeprefix("Bearer "), **fields)
    assert (answer.status, told(answer)) == (200, far(actor["token"])), "what it hears of is its own"
    used = await admin.with_token(answer.json["access_token"]).get("/v1/tokens")
    assert (used.status, told(used)) == (200, {})


async def test_a_client_that_exchanges_another_token_hears_of_its_own(admin: Caller, door: Door) -> None:
    client = await admin.issue(lifetime="90d")
    subject = await soon(admin, door)
    plain = subject.credentials.removeprefix("Bearer ")
    fields = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": plain}
    answer = await as_client(admin, client).form(TOKEN, **fields, subject_token_type=ACCESS_TOKEN)
    assert (answer.status, told(answer)) == (200, far(client["token"]))
    asking = await admin.holder("tokens.introspect", lifetime="90d")
    found = await asking.form("/v1/introspect", token=plain)
    assert found.json["active"]
    assert set(told(found)) == {"Token-Expires-At"}, "and so does one that introspects"


async def test_a_replaced_secret_says_that_it_ends_with_its_grace(admin: Caller) -> None:
    made = await admin.issue(lifetime="90d")
    old = admin.with_token(made["secret"])
    rotated = (await admin.post(f"/v1/tokens/{made['token']['id']}/rotate", {"grace": "1h"})).json
    ends = {"expires_at": rotated["token"]["previous_secret_until"], "number": made["token"]["number"]}
    assert told(await old.get("/v1/tokens/self")) == {**near(ends), "Token-Replaced": "true"}
    assert told(await admin.with_token(rotated["secret"]).get("/v1/tokens/self")) == far(made["token"])


async def test_a_refused_token_is_told_nothing(admin: Caller, proxy: Asked) -> None:
    made = await admin.issue(scopes=["invoices.read"], lifetime="90d")
    elsewhere = await admin.issue(scopes=["invoices.read"], lifetime="90d", networks=["192.0.2.0/24"])
    await admin.post(f"/v1/tokens/{made['token']['id']}/suspend", {"reason": "under review"})
    for secret, problem in ((made["secret"], "token-suspended"), (elsewhere["secret"], "token-network-forbidden")):
        refused = await admin.with_token(secret).get("/v1/tokens/self")
        assert (refused.problem, told(refused)) == (problem, {})
        at_proxy = await proxy.about(presenting(secret))
        assert (at_proxy.problem, told(at_proxy)) == (problem, {})


async def test_forward_authentication_says_it_too_where_the_token_passes_or_lacks_a_scope(
    admin: Caller, door: Door, proxy: Asked
) -> None:
    caller = await soon(admin, door, "invoices.read")
    document = (await caller.get("/v1/tokens/self")).json
    secret = caller.credentials.removeprefix("Bearer ")
    by_bearer = presenting((await caller.post("/v1/exchange")).json["access_token"])
    for headers, scope, status in (
        (presenting(secret), "invoices.read", 200), (presenting(secret), "mail.send", 403),
        (by_bearer, "invoices.read", 200),
    ):  # fmt: skip
        answer = await proxy.about(headers, scope=scope)
        assert (answer.status, told(answer)) == (status, near(document))
    delegated = await bearer(admin, secret, actor_token=secret, actor_token_type=ACCESS_TOKEN)
    assert told(await proxy.about(presenting(delegated))) == {}


async def test_vendors_apis_say_it_too(admin: Caller) -> None:
    made = await admin.issue(scopes=["own.*"], lifetime="90d")
    bought = await Caller(admin.session, basic("", made["secret"])).post("/scalingo/v1/tokens/exchange")
    used = await admin.with_token(bought.json["token"]).get("/scalingo/v1/tokens")
    for answer in (bought, used):
        assert (answer.status, told(answer)) == (200, far(made["token"]))


async def test_the_document_describes_the_headers_wherever_a_caller_authenticates(admin: Caller) -> None:
    document = (await admin.get("/openapi.json")).json
    paths, described = document["paths"], document["components"]["headers"]
    assert set(HEADERS) <= set(described)
    for path, method, status in (
        ("/v1/tokens", "get", "200"), ("/v1/tokens", "post", "201"), ("/v1/tokens/{ref}", "get", "304"),
        ("/v1/exchange", "post", "200"), ("/v1/oauth/token", "post", "200"), ("/v1/forward", "get", "200"),
    ):  # fmt: skip
        assert set(HEADERS) <= set(paths[path][method]["responses"][status]["headers"]), path
    assert not set(HEADERS) & set(paths["/healthz"]["get"]["responses"]["200"]["headers"])
