"""A client that counts its attempts without a key: a repeated request has one effect and gets the same answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
from aiohttp import ClientSession

from api.service import Answer, Caller, served
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Postgres
from dialects.accounts import Account
from dialects.cloudflare import Access, good, of_account, refused

COUNT = "x-stainless-retry-count"


@pytest.fixture
def access(native: Caller, here: Account) -> Access:
    return of_account(native, here)


@pytest.fixture
async def beside(dialect_settings: Settings, here: Account) -> AsyncIterator[Access]:
    """The same account at another process: a second application on the same database."""
    async with served(make_app(dialect_settings)) as url, ClientSession(url) as session:
        yield of_account(Caller(session, f"Bearer {here.admin_token}"), here)


async def attempted(access: Access, method: str, path: str, number: int, body: object = None, **headers: str) -> Answer:
    sent = {COUNT: str(number), **headers}
    return await access.caller.ask(method, f"{access.tokens}{path}", msgspec.json.encode(body or {}), headers=sent)


async def created(access: Access, number: int, name: str, **headers: str) -> Any:
    return good(await attempted(access, "POST", "", number, {"name": name}, **headers))


async def named(access: Access, name: str) -> int:
    return len(await access.listed(name=name))


async def test_a_repeated_creation_shows_the_same_secret_in_another_process_too(access: Access, beside: Access) -> None:
    first = await created(access, 0, "repeated creation")
    for again in (access, beside):
        answer = await attempted(again, "POST", "", 1, {"name": "repeated creation"})
        assert (answer.status, good(answer)) == (201, first)
        assert answer.headers["Idempotency-Replayed"] == "true"
    assert await named(access, "repeated creation") == 1
    assert await access.accepts(first, first["client_secret"])


async def test_an_equal_new_request_is_executed_again(access: Access) -> None:
    made = [await created(access, 0, "equal") for _ in range(2)]
    assert made[0]["id"] != made[1]["id"]
    assert await created(access, 1, "equal") == made[1]
    third = await created(access, 0, "equal")
    assert await created(access, 2, "equal") == third
    assert await named(access, "equal") == 3


async def test_a_repeat_whose_first_attempt_never_arrived_is_executed(access: Access, beside: Access) -> None:
    first = await created(access, 1, "never came")
    assert await created(beside, 2, "never came") == first
    assert await named(access, "never came") == 1


async def test_a_repeat_during_its_first_attempt_has_no_effect_of_its_own(
    access: Access, beside: Access, postgres_server: Postgres
) -> None:
    owner = await asyncpg.connect(postgres_server.database("dialects").owner_url)
    for turn in range(3):
        name = f"under way {turn}"
        async with owner.transaction():
            await owner.execute("lock table idempotency_key in exclusive mode")
            first = asyncio.create_task(created(access, 0, name))
            await asyncio.sleep(0.4)
            repeats = [asyncio.create_task(created(each, 1, name)) for each in (beside, access)]
            await asyncio.sleep(0.1)
        one, two, three = [await each for each in (first, *repeats)]
        assert one == two == three
        assert await named(access, name) == 1
    await owner.close()


async def test_a_repeat_of_a_refused_first_attempt_is_executed(access: Access) -> None:
    token = await access.made(duration="300ms")
    await asyncio.sleep(0.4)
    answer = await attempted(access, "POST", f"/{token['id']}/rotate", 0)
    refused(answer, 400, 12130, "expired")
    await access.done(token, "refresh")
    await access.changed(token, duration="1h")
    rotated = good(await attempted(access, "POST", f"/{token['id']}/rotate", 1))
    assert await access.accepts(token, rotated["client_secret"])


async def test_a_repeated_rotation_shows_the_same_secret(access: Access, beside: Access) -> None:
    token = await access.made()
    first = good(await attempted(access, "POST", f"/{token['id']}/rotate", 0))
    assert good(await attempted(beside, "POST", f"/{token['id']}/rotate", 1)) == first
    assert await access.accepts(token, first["client_secret"])


async def test_a_repeated_put_shows_the_same_secret(access: Access, beside: Access) -> None:
    token, body = await access.made(), {"client_secret_version": 2, "name": "v2"}
    first = good(await attempted(access, "PUT", f"/{token['id']}", 0, body))
    assert good(await attempted(beside, "PUT", f"/{token['id']}", 1, body)) == first
    assert await access.accepts(token, first["client_secret"])
    assert "client_secret" not in good(await attempted(access, "PUT", f"/{token['id']}", 0, body))


async def test_a_repeated_deletion_gets_the_same_answer(access: Access, beside: Access) -> None:
    token = await access.made()
    first = good(await attempted(access, "DELETE", f"/{token['id']}", 0))
    assert good(await attempted(beside, "DELETE", f"/{token['id']}", 1)) == first
    refused(await attempted(access, "DELETE", f"/{token['id']}", 0), 404, 12130)
    refused(await attempted(access, "GET", f"/{token['id']}", 1), 404, 12130)
    refused(await access.caller.delete(f"{access.tokens}/{token['id']}"), 404, 12130)


async def test_a_request_of_another_caller_or_for_another_token_is_no_repeat(
    access: Access, native: Caller, here: Account
) -> None:
    first = await created(access, 0, "mine")
    other = of_account(await native.holder("tokens.create"), here)
    assert (await created(other, 1, "mine"))["id"] != first["id"]
    key = Caller(native.session, "", {"X-Auth-User-Service-Key": here.admin_token})
    assert await created(of_account(key, here), 1, "mine") == first  # the same secret, presented in another way
    longer = good(await attempted(access, "POST", "", 1, {"name": "mine", "duration": "1h"}))
    assert longer["id"] != first["id"]


async def test_an_idempotency_key_takes_precedence_over_the_attempt(access: Access) -> None:
    key = {"Idempotency-Key": "k" * 22 + "stated"}
    first = await created(access, 0, "by key", **key)
    assert await created(access, 0, "by key", **key) == first
    assert await created(access, 1, "by key") != first


@pytest.mark.parametrize("count", ["", "-1", "x", "1.0", "99999"])
async def test_an_invalid_count_is_no_attempt(access: Access, count: str) -> None:
    first = await created(access, 0, f"count {count}")
    answer = await access.caller.post(access.tokens, {"name": f"count {count}"}, **{COUNT: count})
    assert good(answer)["id"] != first["id"]
    assert "Idempotency-Replayed" not in answer.headers


async def test_the_client_does_not_repeat_hopeless_requests(access: Access) -> None:
    token = await access.made()
    answer = await access.put(token, previous_client_secret_expires_at="2090-01-01T00:00:00Z")
    assert answer.status == 200  # there was none
    await access.done(token, "rotate")
    answer = await access.put(token, previous_client_secret_expires_at="2090-01-01T00:00:00Z")
    refused(answer, 400, 12130)  # a 409 would be repeated three times
