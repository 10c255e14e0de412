"""One-time codes: enrolled by the user, required with the password, and each accepted once."""

import asyncio
import re
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import asyncpg
import pytest
from aiohttp import ClientSession
from pyotp import TOTP, parse_uri

from api.service import Caller, basic, served
from api.user_fixtures import Person, person
from counterfoil.postgres import one_time as sql
from counterfoil.settings import Settings
from counterfoil_api.application import make_app

SVG = "{http://www.w3.org/2000/svg}"


async def test_enrolment_shows_the_seed_as_text_url_and_qr_code_and_changes_nothing(admin: Caller) -> None:
    ada = await person(admin)
    begun = await ada.asks().post("/v1/users/self/totp")
    assert begun.headers["Cache-Control"] == "no-store"
    totp = parse_uri(begun.json["uri"])
    assert isinstance(totp, TOTP)
    assert (totp.secret, totp.issuer, totp.name) == (begun.json["secret"], "Counterfoil", ada.email)
    assert len(totp.byte_secret()) == 20  # RFC 4226 4: 160 bits
    picture = ET.fromstring(begun.json["qr"])
    assert picture.tag == f"{SVG}svg"
    assert {each.tag for each in picture.iter()} == {f"{SVG}svg", f"{SVG}path"}
    assert (await ada.asks().get("/v1/users/self")).json["totp"] is False


async def test_a_code_confirms_the_new_seed_and_gives_ten_recovery_codes(admin: Caller) -> None:
    ada = await person(admin)
    codes = await ada.enrolled()
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([a-z2-7]{4}-){3}[a-z2-7]{4}", code) for code in codes)
    missing = await ada.asks().get("/v1/users/self")
    assert (missing.status, missing.problem) == (401, "otp-required")
    assert "WWW-Authenticate" in missing.headers
    me = await ada.asks(otp=f" {ada.code()[:3]} {ada.code()[3:]} ").get("/v1/users/self")
    assert (me.json["totp"], me.json["recovery_codes"], me.json["revision"]) == (True, 10, 2)


async def test_an_invalid_confirmation_is_refused(admin: Caller) -> None:
    ada = await person(admin)
    assert (await ada.asks().post("/v1/users/self/totp/confirm", {"code": "123456"})).problem == "not-found"
    ada.seed = (await ada.asks().post("/v1/users/self/totp")).json["secret"]
    for code in (ada.code(-9), ada.code(9), "", "abcdef", "١٢٣٤٥٦", f"{ada.code()}0"):
        assert (await ada.asks().post("/v1/users/self/totp/confirm", {"code": code})).problem == "bad-code"
    earlier = ada.code()
    ada.seed = (await ada.asks().post("/v1/users/self/totp")).json["secret"]  # replaces the first seed
    assert (await ada.asks().post("/v1/users/self/totp/confirm", {"code": earlier})).problem == "bad-code"
    assert (await ada.asks().post("/v1/users/self/totp/confirm", {"code": ada.code()})).status == 200


async def test_a_seed_can_be_confirmed_for_an_hour(admin: Caller, api_settings: Settings) -> None:
    ada = await person(admin)
    ada.seed = (await ada.asks().post("/v1/users/self/totp")).json["secret"]
    connection = await asyncpg.connect(api_settings.database_url)
    await connection.execute(
        "update totp_seed set made_at = made_at - interval '61 minutes' where user_id = $1", UUID(ada.id)
    )
    await connection.close()
    assert (await ada.asks().post("/v1/users/self/totp/confirm", {"code": ada.code()})).problem == "not-found"


async def test_two_simultaneous_confirmations_give_one_set_of_recovery_codes(admin: Caller) -> None:
    ada = await person(admin)
    ada.seed = (await ada.asks().post("/v1/users/self/totp")).json["secret"]
    confirm = {"code": ada.code()}
    answers = await asyncio.gather(*(ada.asks().post("/v1/users/self/totp/confirm", confirm) for _ in range(4)))
    assert min(answer.status for answer in answers) == 200
    assert sum(answer.status == 200 for answer in answers) == 1


async def test_a_token_cannot_begin_confirm_or_remove_an_enrolment(admin: Caller) -> None:
    ada = await person(admin)
    token = admin.with_token((await ada.asks().post("/v1/login")).json["issued"]["secret"])
    for path, body in (("", {}), ("/confirm", {"code": "123456"}), ("/remove", {})):
        assert (await token.post(f"/v1/users/self/totp{path}", body)).problem == "password-needed"


async def test_a_token_issued_with_a_code_needs_none_afterwards(admin: Caller) -> None:
    ada = await person(admin)
    await ada.enrolled()
    made = await ada.asks(otp=ada.code()).post("/v1/login")
    token = admin.with_token(made.json["issued"]["secret"])
    assert (await token.get("/v1/tokens/self")).status == 200
    assert (await token.get("/v1/users/self")).json["totp"] is True


async def test_a_user_removes_codes_with_a_code_and_an_administrator_without(admin: Caller) -> None:
    ada, eve = await person(admin), await person(admin)
    codes = await ada.enrolled()
    await eve.enrolled()
    assert (await ada.asks().post("/v1/users/self/totp/remove")).problem == "otp-required"
    assert (await ada.asks(otp=ada.code()).post("/v1/users/self/totp/remove")).json["totp"] is False
    assert (await ada.asks().get("/v1/users/self")).json["recovery_codes"] == 0
    removed = await admin.post(f"/v1/users/{eve.number}/totp/remove")
    assert (removed.json["totp"], removed.json["status"]) == (False, "active")
    assert (await eve.asks().get("/v1/users/self")).status == 200
    await ada.enrolled()
    assert (await ada.asks(otp=codes[0]).get("/v1/users/self")).problem == "credentials-refused"


async def test_enrolling_again_replaces_the_seed_and_every_recovery_code(admin: Caller) -> None:
    ada = await person(admin)
    old = await ada.enrolled()
    before = ada.seed
    begun = await ada.asks(otp=old[0]).post("/v1/users/self/totp")
    ada.seed = begun.json["secret"]
    confirmed = await ada.asks(otp=old[1]).post("/v1/users/self/totp/confirm", {"code": ada.code()})
    new = confirmed.json["recovery_codes"]
    assert not set(new) & set(old)
    stale = Person(ada.id, ada.number, ada.email, ada.login, ada.password, admin, seed=before)
    assert (await ada.asks(otp=stale.code(1)).get("/v1/users/self")).problem == "credentials-refused"
    assert (await ada.asks(otp=old[2]).get("/v1/users/self")).problem == "credentials-refused"
    assert (await ada.asks(otp=new[2].upper().replace("-", "")).get("/v1/users/self")).status == 200
    assert (await ada.asks(otp=ada.code(1)).get("/v1/users/self")).status == 200


async def test_a_recovery_code_replaced_during_its_login_is_refused_and_spends_no_other(
    admin: Caller, api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await person(admin)
    old = await ada.enrolled()
    found, go_on, place_of = asyncio.Event(), asyncio.Event(), sql.place_of

    async def slowly(*args: Any) -> Any:
        place = await place_of(*args)
        found.set()
        await go_on.wait()
        return place

    monkeypatch.setattr(sql, "place_of", slowly)
    async with served(make_app(api_settings)) as url, ClientSession(url) as elsewhere:
        there = Caller(elsewhere, basic(ada.login, ada.password), {"X-Authorization-OTP": old[0]})
        logging_in = asyncio.create_task(there.get("/v1/users/self"))
        await found.wait()
        begun = await ada.asks(otp=ada.code()).post("/v1/users/self/totp")
        confirming = ada.asks(otp=ada.code(1))
        ada.seed = begun.json["secret"]
        confirmed = await confirming.post("/v1/users/self/totp/confirm", {"code": ada.code()})
        go_on.set()
        assert (await logging_in).problem == "credentials-refused"
    me = await ada.asks(otp=confirmed.json["recovery_codes"][0]).get("/v1/users/self")
    assert (me.status, me.json["recovery_codes"]) == (200, 9)


async def test_a_removed_user_leaves_no_seed_and_no_recovery_code(admin: Caller, api_settings: Settings) -> None:
    ada = await person(admin)
    await ada.enrolled()
    await admin.post(f"/v1/users/{ada.id}/remove", {"reason": "left"})
    connection = await asyncpg.connect(api_settings.database_url)
    for table in ("password", "totp_seed", "recovery_code"):
        assert await connection.fetchval(f"select count(*) from {table} where user_id = $1", UUID(ada.id)) == 0
    await connection.close()


@pytest.mark.parametrize("kind", ["one-time", "recovery"])
async def test_of_many_simultaneous_uses_of_one_code_at_two_services_one_succeeds(
    admin: Caller, api_settings: Settings, kind: str
) -> None:
    ada = await person(admin)
    codes = await ada.enrolled()
    code = ada.code() if kind == "one-time" else codes[0]
    async with served(make_app(api_settings)) as url, ClientSession(url) as elsewhere:
        there = Caller(elsewhere, basic(ada.login, ada.password), {"X-Authorization-OTP": code})
        calls = [requested.get("/v1/users/self") for requested in (ada.asks(otp=code), there) for _ in range(2)]
        answers = await asyncio.gather(*calls)
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]
