"""F. One-time codes are accepted once, limited when wrong, and stored encrypted; recovery codes are accepted once."""

import asyncio
import time
from base64 import b32decode
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientSession
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyotp import TOTP

from api.service import Caller
from api.user_fixtures import Person, person
from counterfoil.postgres.connection import Connection
from counterfoil.settings import Settings
from counterfoil_api.limits import logins
from counterfoil_api.limits.logins import Delays
from counterfoil_dev.postgres import Database
from security.processes import several
from security.scanner import Scanner


@pytest.fixture
async def ada(admin: Caller) -> Person:
    user = await person(admin)
    user.recovery_codes = await user.enrolled()
    return user


async def test_a_code_is_accepted_once_among_many_requests_at_two_services(
    admin: Caller, checked_database: Database
) -> None:
    async with several(checked_database, 2) as urls, AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(ClientSession(url)) for url in urls]
        for kind in ("of now", "of a clock that is ahead", "for an emergency"):
            ada = await person(admin)  # a new user each time: one with many failures would have to wait
            recovery = await ada.enrolled()
            code = {"of now": ada.code(), "of a clock that is ahead": ada.code(1)}.get(kind, recovery[0])
            callers = [Caller(at, ada.asks().credentials, {"X-Authorization-OTP": code}) for at in sessions]
            asks = [caller.get("/v1/users/self") for caller in callers for _ in range(2)]
            assert sorted(answer.status for answer in await asyncio.gather(*asks)) == [200, 401, 401, 401]
            assert (await callers[0].get("/v1/users/self")).problem == "credentials-refused"


async def test_the_enrolment_code_and_earlier_codes_are_no_login(admin: Caller) -> None:
    ada = await person(admin)
    ada.seed = (await ada.asks().post("/v1/users/self/totp")).json["secret"]
    enrolling = ada.code()
    assert (await ada.asks().post("/v1/users/self/totp/confirm", {"code": enrolling})).status == 200
    for code in (enrolling, ada.code(-1)):
        assert (await ada.asks(otp=code).get("/v1/users/self")).problem == "credentials-refused"
    assert (await ada.asks(otp=ada.code(1)).get("/v1/users/self")).status == 200


async def test_a_code_is_valid_one_step_around_now_and_never_before_the_last(ada: Person, owner: Connection) -> None:
    await owner.execute("update totp_seed set last_step = 0 where user_id = $1", UUID(ada.id))
    now = int(time.time()) // 30
    for step in (now - 3, now + 3):
        code = TOTP(ada.seed).generate_otp(step)
        assert (await ada.asks(otp=code).get("/v1/users/self")).problem == "credentials-refused"
    assert (await ada.asks(otp=ada.code(1)).get("/v1/users/self")).status == 200
    for earlier in (ada.code(0), ada.code(-1)):
        assert (await ada.asks(otp=earlier).get("/v1/users/self")).problem == "credentials-refused"
    assert await owner.fetchval("select last_step from totp_seed where user_id = $1", UUID(ada.id)) >= now + 1


async def test_wrong_codes_count_as_failed_logins(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "HERE", Delays(free=3, first_seconds=60, longest_seconds=60))
    for wrong in ("000000", "not a code", "aaaa-bbbb-cccc-dddd"):
        assert (await ada.asks(otp=wrong).get("/v1/users/self")).problem == "credentials-refused"
    slowed = await ada.asks(otp=ada.code()).get("/v1/users/self")  # even with the right code
    assert (slowed.status, slowed.problem) == (429, "rate-limited")
    assert int(slowed.headers["Retry-After"]) > 0


async def test_a_missing_code_is_not_counted(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "HERE", Delays(free=3, first_seconds=60, longest_seconds=60))
    for _ in range(5):
        assert (await ada.asks().get("/v1/users/self")).problem == "otp-required"
    assert (await ada.asks(otp=ada.code()).get("/v1/users/self")).status == 200


async def test_seeds_are_encrypted_for_their_user_and_their_purpose(
    ada: Person, settings: Settings, owner: Connection
) -> None:
    scanner = Scanner()
    scanner.know("seed", ada.seed)
    scanner.know("seed bytes", TOTP(ada.seed).byte_secret())
    rows = await owner.fetch("select * from totp_seed")
    assert [row for row in rows if scanner.found(b" ".join(map(_bytes, row.values())))] == []
    sealed = await owner.fetchval("select encrypted from totp_seed where user_id = $1", UUID(ada.id))
    with pytest.raises(InvalidTag):  # not under the key itself, which is for signing keys
        AESGCM(settings.key_encryption_key).decrypt(sealed[:12], sealed[12:], UUID(ada.id).bytes)
    eve = await person(ada.admin)
    await eve.enrolled()
    await owner.execute("update totp_seed set encrypted = $2 where user_id = $1", UUID(eve.id), sealed)
    assert (await eve.asks(otp=ada.code()).get("/v1/users/self")).problem == "credentials-refused"


async def test_a_recovery_code_is_accepted_once_and_stored_as_an_hmac(admin: Caller, owner: Connection) -> None:
    ada, eve = await person(admin), await person(admin)
    codes, others = await ada.enrolled(), await eve.enrolled()
    rows = await owner.fetch("select * from recovery_code")
    stored = b" ".join(_bytes(value) for row in rows for value in row.values()).lower()
    for code in (*codes, *others):
        plain = code.replace("-", "")
        assert not any(spelt in stored for spelt in (code.encode(), plain.encode(), b32decode(plain.upper())))
    assert (await ada.asks(otp=others[0]).get("/v1/users/self")).problem == "credentials-refused"
    answers = await asyncio.gather(*(ada.asks(otp=codes[0]).get("/v1/users/self") for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]
    left = (await ada.asks(otp=codes[1]).get("/v1/users/self")).json["recovery_codes"]
    assert left == 8
    assert await owner.fetchval("select count(*) from recovery_code where user_id = $1", UUID(ada.id)) == 8


async def test_neither_seed_nor_code_is_in_an_event_or_a_later_answer(ada: Person, owner: Connection) -> None:
    scanner = Scanner()
    scanner.know("seed", ada.seed)
    told = [await ada.asks(otp=ada.code()).get("/v1/users/self/events"), await ada.admin.get(f"/v1/users/{ada.id}")]
    assert [answer for answer in told if answer.status != 200 or scanner.found(answer.body)] == []
    for row in await owner.fetch("select entry, private from event where subject_id = $1", UUID(ada.id)):
        assert not scanner.found(f"{row['entry']} {row['private']}".encode())


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
