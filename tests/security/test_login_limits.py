"""E. A caller who fails to log in waits longer and longer and delays no other caller."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from api.service import Answer
from counterfoil_api.auth import hashing, passwords
from counterfoil_api.limits import logins
from counterfoil_api.limits.logins import Delays
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from security.limited_service import HERE, LIMIT, THERE, Place, limited


@pytest.fixture
async def place(
    database: Database, valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    # A tenth of the work: the limits, and not the speed of this machine, must stop a flood.
    monkeypatch.setattr(passwords, "PasswordHasher", partial(PasswordHasher, memory_cost=16_384, parallelism=1))
    async with limited(database, valkey, tmp_path) as opened:
        yield opened


async def tries(place: Place, count: int, **at: Any) -> list[Answer]:
    return [await place.login("wrong", **at).get("/v1/tokens") for _ in range(count)]


async def test_the_wait_doubles_after_each_failure(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "HERE", Delays(free=5, first_seconds=2, longest_seconds=3))
    assert [answer.status for answer in await tries(place, 6, at=HERE)] == [401] * 5 + [429]
    for longest in (2, 3):
        refused = await place.login(at=HERE, process=1).get("/v1/tokens")  # even with the right password
        wait = int(refused.headers["Retry-After"])
        assert (refused.status, 0 < wait <= longest) == (429, True)
        await asyncio.sleep(wait)
        assert (await tries(place, 1, at="192.0.2.99"))[0].status == 401
    await asyncio.sleep(3)
    assert (await place.login(at=HERE).get("/v1/tokens")).status == 200
    assert [answer.status for answer in await tries(place, 6, at=HERE)] == [401] * 5 + [429]


async def test_failures_elsewhere_do_not_lock_a_user_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "ELSEWHERE", Delays(free=12, first_seconds=60, longest_seconds=60))
    assert (await place.login(at=THERE).get("/v1/tokens")).status == 200  # from a network of earlier logins
    for number in range(4):
        await tries(place, 5, at=f"192.0.{number}.7")
    assert (await place.login("wrong", at="192.0.9.7").get("/v1/tokens")).status == 429
    for process in (0, 1):
        assert (await place.login(at=THERE, process=process).get("/v1/tokens")).status == 200
    assert (await place.login(at="192.0.9.7", email="else@limited.example.org").get("/v1/tokens")).status == 401


async def test_logins_of_different_accounts_are_independent(place: Place) -> None:
    email, password = place.credentials["admin_email"], "four words and a 4th"
    body = {"name": "Other", "administrator": {"email": email, "password": password}}
    other = (await place.admin.post("/v1/accounts", body)).json["id"]
    answers = await tries(place, 6, at=HERE, email=f"{other}/{email}")
    assert [answer.status for answer in answers] == [401] * 5 + [429]
    assert (await place.login(at=HERE).get("/v1/tokens")).status == 200
    # With or without its account it is the same login, with the same attempts.
    spellings = (email, f"{place.credentials['account']}/{email}", f"{place.credentials['account'].upper()}/{email}")
    answers = [answer for who in spellings * 2 for answer in await tries(place, 1, at=THERE, email=who)]
    assert [answer.status for answer in answers] == [401] * 5 + [429]
    assert (await place.login(password, at="192.0.9.7", email=f"{other}/{email}").get("/v1/account")).json[
        "id"
    ] == other


async def test_an_unknown_user_is_treated_alike(place: Place) -> None:
    for who in ("", "nobody@limited.example.org"):
        answers = await tries(place, 6, at=HERE, email=who)
        assert [answer.status for answer in answers] == [401] * 5 + [429]
        assert {answer.problem for answer in answers[:5]} == {"credentials-refused"}


async def test_one_password_tried_on_many_users_is_limited_and_refuses_no_known_network(place: Place) -> None:
    assert (await place.login(at=HERE).get("/v1/tokens")).status == 200
    others = [f"person{number}@limited.example.org" for number in range(LIMIT + 5)]
    statuses = [
        (await tries(place, 1, at=HERE, email=who, process=number % 2))[0].status for number, who in enumerate(others)
    ]
    assert statuses == [401] * LIMIT + [429] * 5
    for process in (0, 1):
        assert (await place.login(at=HERE, process=process).get("/v1/tokens")).status == 200
    assert (await place.login(at=THERE).get("/v1/tokens")).status == 200
    # 65,536 IPv6 networks give no more attempts than one.
    statuses = [
        (await tries(place, 1, at=f"2001:db8:7:{number:x}::1", email=who))[0].status
        for number, who in enumerate(others)
    ]
    assert statuses == [401] * LIMIT + [429] * 5


async def test_all_spellings_of_an_address_share_their_attempts(place: Place) -> None:
    email = "j\u00f6rg@b\u00fccher.example"
    body = {"email": email, "role": "member", "password": "four words and a 4th"}
    assert (await place.admin.post("/v1/users", body)).status == 201
    spellings = (email, email.upper(), "jo\u0308rg@b\u00fccher.example", "j\u00f6rg@xn--bcher-kva.example",
                 "j\u00f6rg@b\u00fc\u200bcher.example")  # fmt: skip
    answers = [answer for who in spellings for answer in await tries(place, 1, at=HERE, email=who)]
    answers += await tries(place, 1, at=HERE, email="J\u00d6RG@B\u00dcCHER.example.")
    assert [answer.status for answer in answers] == [401] * 5 + [429]


async def test_simultaneous_attempts_are_limited_like_consecutive_ones(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "HERE", Delays(free=5, first_seconds=600, longest_seconds=3_600))
    asks = (place.login("wrong", at=HERE, process=number % 2).get("/v1/tokens") for number in range(30))
    statuses = [answer.status for answer in await asyncio.gather(*asks)]
    assert (statuses.count(401), statuses.count(429)) == (5, 25)


async def test_simultaneous_right_passwords_are_no_failure(place: Place) -> None:
    asks = (place.login(at=HERE).get("/v1/tokens") for _ in range(12))
    assert {answer.status for answer in await asyncio.gather(*asks)} == {200}


async def test_many_simultaneous_logins_of_one_user_refuse_no_other_user(place: Place) -> None:
    body = {"email": "busy@limited.example.org", "role": "member", "password": "a busy person's own words"}
    assert (await place.admin.post("/v1/users", body)).status == 201
    busy = place.login(body["password"], at=THERE, email=body["email"])
    many = [asyncio.create_task(busy.get("/v1/tokens")) for _ in range(60)]
    await asyncio.sleep(0.2)
    others = await asyncio.gather(*(place.login(at=HERE).get("/v1/tokens") for _ in range(5)))
    assert {answer.status for answer in others} == {200}
    assert {answer.status for answer in await asyncio.gather(*many)} == {200, 429}


async def test_strangers_in_many_networks_do_not_refuse_a_user_in_a_known_network(place: Place) -> None:
    assert (await place.login(at=THERE).get("/v1/tokens")).status == 200
    done = asyncio.Event()

    async def stranger(number: int) -> set[int]:
        caller = place.login("wrong", at=f"10.0.{number % 12}.{number}", email=f"nobody-{number}@x.example")
        return {(await caller.get("/v1/users/self")).status for _ in range(400) if not done.is_set()}

    flood = [asyncio.create_task(stranger(number)) for number in range(40)]
    try:
        good = [(await place.login(at=THERE).get("/v1/users/self")).status for _ in range(15)]
    finally:
        done.set()
        said = set().union(*await asyncio.gather(*flood))
    assert good == [200] * 15
    assert said <= {401, 429, 503}


async def test_strangers_in_many_networks_do_not_refuse_a_first_login(place: Place) -> None:
    tries = [place.login("wrong", at=f"10.0.{n % 12}.{n}", email=f"nobody-{n}@x.example") for n in range(60)]
    flood = [asyncio.create_task(each.get("/v1/users/self")) for each in tries]
    await asyncio.sleep(0)
    assert (await place.login(at=THERE).get("/v1/users/self")).status == 200
    assert {answer.status for answer in await asyncio.gather(*flood)} <= {401, 503}


async def test_attempts_evicted_by_others_are_charged_to_their_network(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "MOST_OF_ONE", 4)
    people = [f"person{number}@limited.example.org" for number in range(LIMIT)]
    said = await asyncio.gather(*(tries(place, 1, at=HERE, email=who) for who in people))
    statuses = [answer.status for (answer,) in said]
    assert statuses.count(503) >= 1
    assert set(statuses) == {401, 503}
    assert [answer.status for answer in await tries(place, 1, at=HERE, email="else@limited.example.org")] == [429]


async def test_a_process_remembers_known_networks_without_valkey(place: Place) -> None:
    assert (await place.login(at=HERE).get("/v1/tokens")).status == 200
    await place.redis.flushdb()
    others = [f"person{number}@limited.example.org" for number in range(LIMIT + 1)]
    assert [(await tries(place, 1, at=HERE, email=who))[0].status for who in others] == [401] * LIMIT + [429]
    assert (await place.login(at=HERE).get("/v1/tokens")).status == 200


def test_after_a_hundred_consecutive_failures_one_attempt_a_day_is_left() -> None:
    for delays in (logins.HERE, logins.ELSEWHERE):
        *_, most, last, kept = delays.steps
        assert (most, last) == (100, 86_400_000)
        assert kept > last
        assert delays.free < most


async def test_neither_address_nor_name_of_a_user_is_kept_in_valkey(place: Place) -> None:
    await tries(place, 6, at=HERE)
    await place.login(at=THERE).get("/v1/tokens")
    keys = b" ".join([key async for key in place.redis.scan_iter()]).decode()
    assert "192.0.2.0/24" in keys
    assert not re.search(r"@|limited|192\.0\.2\.7|198\.51\.100\.7", keys)
