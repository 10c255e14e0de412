"""E. Who guesses is slowed down, and no neighbour pays: networks, credentials and persons are counted apart."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from api.service import Answer, Caller, basic, founded, served, settings_for
from counterfoil.postgres.lookup import Lookup
from counterfoil.secret import mint
from counterfoil_api import logins
from counterfoil_api.application import make_app
from counterfoil_api.logins import Delays
from counterfoil_api.tally import PREFIX
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from security.processes import several

LIMIT = 20
HERE, THERE = "192.0.2.7", "198.51.100.7"


@dataclass(frozen=True, slots=True)
class Place:
    """Two processes of one service, and what both share; a proxy before them says who asks from where."""

    sessions: tuple[ClientSession, ClientSession]
    credentials: dict[str, str]
    redis: Redis

    def caller(self, plain: str, *, at: str = HERE, process: int = 0) -> Caller:
        return Caller(self.sessions[process], f"Bearer {plain}", {"X-Forwarded-For": at})

    @property
    def admin(self) -> Caller:
        """From a network of its own."""
        return self.caller(self.credentials["admin_token"], at="203.0.113.1")

    def login(self, password: str | None = None, *, at: str, email: str = "", process: int = 0) -> Caller:
        who = email or self.credentials["admin_email"]
        given = basic(who, self.credentials["admin_password"] if password is None else password)
        return Caller(self.sessions[process], given, {"X-Forwarded-For": at})

    async def told(self) -> None:
        """Wait until what the first process has met is known to both."""
        async with asyncio.timeout(20):
            while not [key async for key in self.redis.scan_iter(f"{PREFIX}met:*")]:  # noqa: ASYNC110 - as Valkey is
                await asyncio.sleep(0.02)


async def look(caller: Caller) -> int:
    return (await caller.get("/v1/tokens/self")).status


async def guesses(place: Place, count: int, *, at: str = HERE, process: int = 0) -> list[int]:
    return [await look(place.caller(mint("service").plain, at=at, process=process)) for _ in range(count)]


@pytest.fixture
async def place(database: Database, valkey: Valkey, tmp_path: Path) -> AsyncIterator[Place]:
    limits = valkey.database(2)
    settings = settings_for(
        database.app_url, LIMITS_REDIS_URL=limits, GUESS_LIMIT=f"{LIMIT}/10m", TRUSTED_PROXIES="127.0.0.1/32"
    )
    async with Redis.from_url(limits) as redis:
        await redis.flushdb()
        credentials = await founded(settings, "limited", tmp_path)
        async with (
            served(make_app(settings)) as one,
            served(make_app(settings)) as other,
            ClientSession(one) as here,
            ClientSession(other) as there,
        ):
            yield Place((here, there), credentials, redis)


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


async def test_e20_guesses_from_a_network_are_refused_before_the_database(
    place: Place, asked: list[tuple[bytes, ...]]
) -> None:
    assert await guesses(place, LIMIT) == [401] * LIMIT
    assert len(asked) == LIMIT
    # A trickle is still looked up, by whichever process; then nothing is.
    assert await guesses(place, 50) + await guesses(place, 50, at="192.0.2.250", process=1) == [429] * 100
    trickle = len(asked) - LIMIT
    assert 0 < trickle <= 10
    assert await guesses(place, 50) == [429] * 50
    assert len(asked) == LIMIT + trickle
    assert await guesses(place, 3, at=THERE) == [401] * 3


async def test_e20_guesses_side_by_side_are_no_more_than_guesses_in_a_row(
    place: Place, asked: list[tuple[bytes, ...]]
) -> None:
    await guesses(place, 1)
    await guesses(place, 1, process=1)
    asked.clear()
    found = await asyncio.gather(*(guesses(place, 5, process=number % 2) for number in range(40)))
    assert sum(statuses.count(401) for statuses in found) == LIMIT - 2
    assert len(asked) <= LIMIT - 2 + 6


async def test_e20_a_refusal_says_when_to_come_back_and_nothing_of_the_secret(place: Place) -> None:
    await guesses(place, LIMIT + 10)
    answer = await place.caller(mint("service").plain).get("/v1/tokens/self")
    assert (answer.status, answer.problem) == (429, "rate-limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 600
    assert answer.json["retry_after"] == int(answer.headers["Retry-After"])


async def test_e20_a_valid_neighbour_of_guessers_is_never_refused(place: Place) -> None:
    used, unused = await place.admin.issue(), await place.admin.issue()
    bearer = (await place.caller(used["secret"], at=THERE).post("/v1/exchange")).json["access_token"]
    await place.told()
    for process in (0, 1):
        await guesses(place, LIMIT + 10, process=process)
    assert 401 not in await guesses(place, 20)
    for process in (0, 1):
        # Used elsewhere, never used but issued, and signed: all of them from the guessers' own address.
        for plain in (used["secret"], unused["secret"], bearer):
            assert await look(place.caller(plain, process=process)) == 200
        assert (await place.caller(unused["secret"], process=process).post("/v1/exchange")).status == 200


async def test_e20_a_valid_secret_that_was_never_met_is_charged_nothing(place: Place) -> None:
    secrets = [(await place.admin.issue(scopes=["tokens.read"]))["secret"] for _ in range(LIMIT + 5)]
    await guesses(place, 3)
    await place.told()
    # As if it had been issued a month ago and not used since: nobody has a mark of it.
    for key in [key async for key in place.redis.scan_iter(f"{PREFIX}met:*")]:
        await place.redis.delete(key)
    statuses = [await look(place.caller(plain, process=1)) for plain in secrets]
    assert statuses == [200] * len(secrets)
    assert (await guesses(place, LIMIT)).count(401) == LIMIT - 3


async def test_e20_malformed_credentials_are_limited_and_keep_nobody_else_out(place: Place) -> None:
    plain = (await place.admin.issue(scopes=["tokens.read"]))["secret"]
    for text in ("cfl_service_nonsense", "x.y.z", plain[:-1] + ("0" if plain[-1] != "0" else "1")):
        statuses = [await look(place.caller(text)) for _ in range(LIMIT)]
        assert set(statuses) <= {401, 429}
    assert await look(place.caller("cfl_service_nonsense")) == 429
    assert await look(place.caller("cfl_service_nonsense", process=1)) == 429
    assert await look(place.caller(plain)) == 200
    assert await guesses(place, 1) == [401]
    assert await look(place.caller("cfl_service_nonsense", at=THERE)) == 401


async def test_e20_the_dead_are_told_why_and_too_many_times_only_themselves(
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
    assert asked == []  # what is final need not be looked up again
    assert await look(place.caller(dead["secret"], at=THERE)) == 401
    assert await look(place.caller(other["secret"])) == 401
    assert (await guesses(place, LIMIT)) == [401] * LIMIT  # nor was any of it a guess


async def test_e20_a_renewed_token_is_good_at_once_however_often_it_was_refused(place: Place) -> None:
    made = await place.admin.issue(scopes=["tokens.read"], duration="1h")
    ref = made["token"]["id"]
    assert (await place.admin.post(f"/v1/tokens/{ref}/suspend", {"reason": "for the test"})).status == 200
    assert (await asyncio.gather(*(look(place.caller(made["secret"])) for _ in range(70)))).count(429) == 10
    assert (await place.admin.post(f"/v1/tokens/{ref}/resume")).status == 200
    assert await look(place.caller(made["secret"])) == 200


async def test_e20_a_thousand_expired_callers_cost_a_valid_one_no_more_than_valid_callers_do(place: Place) -> None:
    async def issued(left: timedelta) -> str:
        made = await place.admin.issue(scopes=["tokens.read"], expires_at=(datetime.now(UTC) + left).isoformat())
        return str(made["secret"])

    valid = await issued(timedelta(hours=1))
    good = await asyncio.gather(*(issued(timedelta(hours=1)) for _ in range(300)))
    expired = await asyncio.gather(*(issued(-timedelta(minutes=1)) for _ in range(1_000)))
    busy = await beside(place, valid, good, expect=200)
    dead = await beside(place, valid, expired, expect=401)
    assert dead < 2 * busy


async def beside(place: Place, valid: str, neighbours: Sequence[str], *, expect: int) -> float:
    """How long one caller takes while neighbours at the same address ask fifty times a second, in seconds."""
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


async def tries(place: Place, count: int, **at: Any) -> list[Answer]:
    return [await place.login("wrong", **at).get("/v1/tokens") for _ in range(count)]


async def test_e21_who_fails_waits_twice_as_long_each_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "HERE", Delays(free=5, first_seconds=1, longest_seconds=2))
    assert [answer.status for answer in await tries(place, 6, at=HERE)] == [401] * 5 + [429]
    for longest in (1, 2, 2):
        refused = await place.login(at=HERE, process=1).get("/v1/tokens")  # not even the right password
        wait = int(refused.headers["Retry-After"])
        assert (refused.status, 0 < wait <= longest) == (429, True)
        await asyncio.sleep(wait)
        assert (await tries(place, 1, at="192.0.2.99"))[0].status == 401
    await asyncio.sleep(2)
    assert (await place.login(at=HERE).get("/v1/tokens")).status == 200
    assert [answer.status for answer in await tries(place, 6, at=HERE)] == [401] * 5 + [429]


async def test_e21_nobody_locks_others_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "ELSEWHERE", Delays(free=12, first_seconds=60, longest_seconds=60))
    assert (await place.login(at=THERE).get("/v1/tokens")).status == 200  # where the user is at home
    for number in range(4):
        await tries(place, 5, at=f"192.0.{number}.7")
    assert (await place.login("wrong", at="192.0.9.7").get("/v1/tokens")).status == 429
    for process in (0, 1):
        assert (await place.login(at=THERE, process=process).get("/v1/tokens")).status == 200
    assert (await place.login(at="192.0.9.7", email="else@limited.example.org").get("/v1/tokens")).status == 401


async def test_e21_a_person_nobody_knows_is_treated_alike(place: Place) -> None:
    for who in ("", "nobody@limited.example.org"):
        answers = await tries(place, 6, at=HERE, email=who)
        assert [answer.status for answer in answers] == [401] * 5 + [429]
        assert {answer.problem for answer in answers[:5]} == {"credentials-refused"}


async def test_e21_one_password_tried_on_many_people_is_limited_and_keeps_out_nobody_at_home(place: Place) -> None:
    assert (await place.login(at=HERE).get("/v1/tokens")).status == 200
    others = [f"person{number}@limited.example.org" for number in range(LIMIT + 5)]
    statuses = [
        (await tries(place, 1, at=HERE, email=who, process=number % 2))[0].status for number, who in enumerate(others)
    ]
    assert statuses == [401] * LIMIT + [429] * 5
    for process in (0, 1):
        assert (await place.login(at=HERE, process=process).get("/v1/tokens")).status == 200
    assert (await place.login(at=THERE).get("/v1/tokens")).status == 200
    # Who has 65,536 networks of IPv6 has no more of this than who has one.
    statuses = [
        (await tries(place, 1, at=f"2001:db8:7:{number:x}::1", email=who))[0].status
        for number, who in enumerate(others)
    ]
    assert statuses == [401] * LIMIT + [429] * 5


async def test_e21_no_spelling_that_the_database_takes_for_the_same_has_tries_of_its_own(database: Database) -> None:
    connection = await asyncpg.connect(database.app_url)
    rows = await connection.fetch(
        "select chr(i) as letter, lower(chr(i)) as lower from generate_series(1, 1114111) as i"
        " where i not between 55296 and 57343 and lower(chr(i)) <> chr(i)"
    )
    await connection.close()
    assert len(rows) > 1_000
    assert [row["letter"] for row in rows if logins.folded(row["letter"]) != logins.folded(row["lower"])] == []
    assert logins.folded(" Ma\u0308x@Example.ORG ") == logins.folded("m\u00e4x@example.org")
    assert logins.folded("max@example.org") != logins.folded("mix@example.org")


async def test_e21_tries_side_by_side_are_no_more_than_tries_in_a_row(place: Place) -> None:
    asks = (place.login("wrong", at=HERE, process=number % 2).get("/v1/tokens") for number in range(30))
    statuses = [answer.status for answer in await asyncio.gather(*asks)]
    assert (statuses.count(401), statuses.count(429)) == (5, 25)


async def test_e21_right_passwords_side_by_side_are_no_failure(place: Place) -> None:
    asks = (place.login(at=HERE).get("/v1/tokens") for _ in range(12))
    assert {answer.status for answer in await asyncio.gather(*asks)} == {200}


def test_e21_a_hundred_failures_in_a_row_leave_one_try_a_day() -> None:
    for delays in (logins.HERE, logins.ELSEWHERE):
        *_, most, last, kept = delays.steps
        assert (most, last) == (100, 86_400_000)
        assert kept > last
        assert delays.free < most


async def test_e21_neither_address_nor_name_of_a_person_is_kept_in_valkey(place: Place) -> None:
    await tries(place, 6, at=HERE)
    await place.login(at=THERE).get("/v1/tokens")
    keys = b" ".join([key async for key in place.redis.scan_iter()]).decode()
    assert "192.0.2.0/24" in keys
    assert not re.search(r"@|limited|192\.0\.2\.7|198\.51\.100\.7", keys)


async def test_e22_exactly_a_hundred_of_two_hundred_pass_over_three_processes(
    database: Database, valkey: Valkey, tmp_path: Path
) -> None:
    limits = valkey.database(3)
    async with Redis.from_url(limits) as redis:
        await redis.flushdb()
    admin = await founded(settings_for(database.app_url), "three", tmp_path)
    async with several(database, 3, LIMITS_REDIS_URL=limits, RATE_LIMIT="100/10m") as urls:
        shares = zip(urls, (67, 67, 66), strict=True)
        answers = await asyncio.gather(*(asks(url, admin["admin_token"], share) for url, share in shares))
    told = [answer for each in answers for answer in each]
    passed = [answer for answer in told if answer.status == 200]
    refused = [answer for answer in told if answer.status == 429]
    assert (len(passed), len(refused)) == (100, 100)
    left = [re.fullmatch(r'"principal";r=(\d+);t=(\d+)', answer.headers["RateLimit"]) for answer in passed]
    assert sorted(int(match[1]) for match in left if match) == list(range(100))
    assert {answer.headers["RateLimit-Policy"] for answer in told} == {'"principal";q=100;w=600'}
    for answer in refused:
        assert answer.problem == "rate-limited"
        assert 590 <= int(answer.headers["Retry-After"]) <= 600
        assert re.fullmatch(r'"principal";r=0;t=(59\d|600)', answer.headers["RateLimit"])


async def asks(url: str, plain: str, count: int) -> list[Answer]:
    async with ClientSession(url) as session:
        return await asyncio.gather(*(Caller(session, f"Bearer {plain}").get("/v1/tokens/self") for _ in range(count)))


async def test_e22_each_caller_has_a_quota_of_their_own(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database.app_url, RATE_LIMIT="3/10m")
    credentials = await founded(settings, "own", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        admin = Caller(session, f"Bearer {credentials['admin_token']}")
        held = await admin.issue(scopes=["tokens.read"])
        holder = admin.with_token(held["secret"])
        bought = [await holder.post("/v1/exchange") for _ in range(4)]
        assert [answer.status for answer in bought] == [200, 200, 200, 429]
        bearer = admin.with_token(bought[0].json["access_token"])
        # A token and the bearers that it bought are one caller.
        statuses = [await look(each) for each in (holder, bearer, bearer, holder, bearer)]
        assert statuses == [200, 200, 200, 429, 429]
        assert await look(admin) == 200
        assert "RateLimit" not in (await admin.get("/healthz")).headers
        missing = await admin.get("/v1/tokens/00000000-0000-0000-0000-000000000009")
        assert (missing.status, missing.headers["RateLimit"][:15]) == (404, '"principal";r=0')


@pytest.mark.parametrize(("trusted", "elsewhere"), [("", 429), ("10.0.0.0/8", 429), ("127.0.0.1/32", 401)])
async def test_e23_an_address_is_believed_from_a_proxy_of_ours_alone(
    database: Database, trusted: str, elsewhere: int
) -> None:
    settings = settings_for(database.app_url, TRUSTED_PROXIES=trusted, GUESS_LIMIT=f"{LIMIT}/10m")
    async with served(make_app(settings)) as url, ClientSession(url) as session:

        async def guessed(number: int, *, behind: str = "") -> int:
            there = {"X-Forwarded-For": f"192.0.{number}.7{behind}", "Forwarded": f"for=192.0.{number}.7"}
            return await look(Caller(session, f"Bearer {mint('service').plain}", there))

        assert [await guessed(number) for number in range(LIMIT + 20)][-1] == elsewhere
        # What a client writes stands left of what our proxy adds, and moves it to no other network.
        assert [await guessed(number, behind=", 203.0.113.50") for number in range(LIMIT + 20)][-1] == 429


async def test_e23_a_policy_of_networks_is_not_passed_by_a_forged_address(place: Place) -> None:
    policy = {"policy": {"networks": ["203.0.113.0/24"]}}
    assert (await place.admin.patch("/v1/account", policy)).status == 200
    admin = place.credentials["admin_token"]
    for forwarded, status in (("203.0.113.1", 200), ("192.0.2.7", 403), ("203.0.113.1, 192.0.2.7", 403), ("x", 403)):
        assert await look(place.caller(admin, at=forwarded)) == status, forwarded
