"""E. Guessing secrets is limited for each network and each credential, and valid callers are not affected."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pytest

from counterfoil.core.secret import mint
from counterfoil.postgres.lookup import Lookup
from counterfoil_api.limits.counters import PREFIX
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from security.limited_service import LIMIT, THERE, Place, guesses, limited, look


@pytest.fixture
async def place(database: Database, valkey: Valkey, tmp_path: Path) -> AsyncIterator[Place]:
    async with limited(database, valkey, tmp_path) as opened:
        yield opened


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, ...]]:
    """Every look-up by a secret that reached the database."""
    found: list[tuple[bytes, ...]] = []
    real = Lookup.by_digests

    async def by_digests(self: Lookup, digests: tuple[bytes, ...]) -> Any:
        found.append(digests)
        return await real(self, digests)

    monkeypatch.setattr(Lookup, "by_digests", by_digests)
    return found


async def test_guesses_from_a_network_are_refused_before_the_database(
    place: Place, asked: list[tuple[bytes, ...]]
) -> None:
    assert await guesses(place, LIMIT) == [401] * LIMIT
    assert len(asked) == LIMIT
    # A trickle is still looked up, by any process; then nothing is.
    assert await guesses(place, 50) + await guesses(place, 50, at="192.0.2.250", process=1) == [429] * 100
    trickle = len(asked) - LIMIT
    assert 0 < trickle <= 10
    assert await guesses(place, 50) == [429] * 50
    assert len(asked) == LIMIT + trickle
    assert await guesses(place, 3, at=THERE) == [401] * 3


async def test_simultaneous_guesses_are_limited_like_consecutive_ones(
    place: Place, asked: list[tuple[bytes, ...]]
) -> None:
    await guesses(place, 1)
    await guesses(place, 1, process=1)
    asked.clear()
    found = await asyncio.gather(*(guesses(place, 5, process=number % 2) for number in range(40)))
    assert sum(statuses.count(401) for statuses in found) == LIMIT - 2
    assert len(asked) <= LIMIT - 2 + 6


async def test_a_refusal_says_when_to_retry_and_nothing_about_the_secret(place: Place) -> None:
    await guesses(place, LIMIT + 10)
    answer = await place.caller(mint("service").plain).get("/v1/tokens/self")
    assert (answer.status, answer.problem) == (429, "rate-limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 600
    assert answer.json["retry_after"] == int(answer.headers["Retry-After"])


async def test_a_valid_caller_in_the_network_of_guessers_is_never_refused(place: Place) -> None:
    used, unused = await place.admin.issue(), await place.admin.issue()
    bearer = (await place.caller(used["secret"], at=THERE).post("/v1/exchange")).json["access_token"]
    await place.told()
    for process in (0, 1):
        await guesses(place, LIMIT + 10, process=process)
    assert 401 not in await guesses(place, 20)
    for process in (0, 1):
        # Used elsewhere, issued but never used, and signed: all from the guessers' own address.
        for plain in (used["secret"], unused["secret"], bearer):
            assert await look(place.caller(plain, process=process)) == 200
        assert (await place.caller(unused["secret"], process=process).post("/v1/exchange")).status == 200


async def test_a_valid_secret_without_a_mark_uses_up_no_guesses(place: Place) -> None:
    secrets = [(await place.admin.issue(scopes=["tokens.read"]))["secret"] for _ in range(LIMIT + 5)]
    await guesses(place, 3)
    await place.told()
    # As if it had been issued a month ago and not used since: no process has a mark of it.
    for key in [key async for key in place.redis.scan_iter(f"{PREFIX}met:*")]:
        await place.redis.delete(key)
    statuses = [await look(place.caller(plain, process=1)) for plain in secrets]
    assert statuses == [200] * len(secrets)
    assert (await guesses(place, LIMIT)).count(401) == LIMIT - 3


async def test_malformed_credentials_are_limited_and_refuse_no_other_caller(place: Place) -> None:
    plain = (await place.admin.issue(scopes=["tokens.read"]))["secret"]
    for text in ("cfl_service_nonsense", "x.y.z", plain[:-1] + ("0" if plain[-1] != "0" else "1")):
        statuses = [await look(place.caller(text)) for _ in range(LIMIT)]
        assert set(statuses) <= {401, 429}
    assert await look(place.caller("cfl_service_nonsense")) == 429
    assert await look(place.caller("cfl_service_nonsense", process=1)) == 429
    assert await look(place.caller(plain)) == 200
    assert await guesses(place, 1) == [401]
    assert await look(place.caller("cfl_service_nonsense", at=THERE)) == 401


async def test_ended_credentials_are_refused_with_the_reason_and_limited_individually(
    place: Place, asked: list[tuple[bytes, ...]]
) -> None:
    dead, other = await place.admin.issue(), await place.admin.issue()
    for each in (dead, other):
        await place.admin.post(f"/v1/tokens/{each['token']['id']}/revoke", {"reason": "for the test"})
    answers = [await place.caller(dead["secret"]).get("/v1/tokens/self") for _ in range(70)]
    assert [answer.status for answer in answers] == [401] * 60 + [429] * 10
    assert {answer.problem for answer in answers[:60]} == {"token-revoked"}
    assert answers[-1].json["detail"].startswith("This token was revoked")
    asked.clear()
    assert await look(place.caller(dead["secret"])) == 429
    assert asked == []  # a final state is not looked up again
    assert await look(place.caller(dead["secret"], at=THERE)) == 401
    assert await look(place.caller(other["secret"])) == 401
    assert (await guesses(place, LIMIT)) == [401] * LIMIT  # none of these requests counted as a guess


async def test_a_renewed_token_is_accepted_at_once_however_often_it_was_refused(place: Place) -> None:
    made = await place.admin.issue(scopes=["tokens.read"], lifetime="1h")
    ref = made["token"]["id"]
    assert (await place.admin.post(f"/v1/tokens/{ref}/suspend", {"reason": "for the test"})).status == 200
    assert (await asyncio.gather(*(look(place.caller(made["secret"])) for _ in range(70)))).count(429) == 10
    assert (await place.admin.post(f"/v1/tokens/{ref}/resume")).status == 200
    assert await look(place.caller(made["secret"])) == 200


@pytest.mark.soak
async def test_a_thousand_expired_callers_delay_a_valid_one_no_more_than_valid_callers_do(place: Place) -> None:
    async def issued(lifetime: str) -> str:
        made = await place.admin.issue(scopes=["tokens.read"], lifetime=lifetime)
        return str(made["secret"])

    valid = await issued("1h")
    good = await asyncio.gather(*(issued("1h") for _ in range(300)))
    expired = await asyncio.gather(*(issued("1s") for _ in range(1_000)))
    await asyncio.sleep(1)  # so that the last of them has expired too
    busy = await beside(place, valid, good, expect=200)
    dead = await beside(place, valid, expired, expect=401)
    assert dead < 2 * busy


async def beside(place: Place, valid: str, neighbours: Sequence[str], *, expect: int) -> float:
    """The duration of one caller's request in seconds, while neighbours at its address send fifty requests a second."""
    took: list[float] = []

    async def ask_at(plain: str, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return await look(place.caller(plain))

    async with asyncio.TaskGroup() as group:
        asks = [group.create_task(ask_at(plain, number / 50)) for number, plain in enumerate(neighbours)]
        while not all(task.done() for task in asks):
            began = perf_counter()
            assert await look(place.caller(valid)) == 200
            took.append(perf_counter() - began)
            await asyncio.sleep(0.02)
    assert {task.result() for task in asks} == {expect}
    return median(took)
