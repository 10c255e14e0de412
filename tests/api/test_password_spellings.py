"""Passwords in any characters: every space is read as a plain one, and ASCII control characters are refused."""

import asyncpg
import pytest
from argon2 import PasswordHasher

from api.service import Caller, basic
from api.user_fixtures import PASSWORD, person
from counterfoil.settings import Settings

SPACES = "\u00a0\u1680\u2000\u2007\u200a\u202f\u205f\u3000"


@pytest.mark.parametrize("space", SPACES, ids=ascii)
async def test_a_password_with_another_space_equals_the_one_with_a_plain_space(admin: Caller, space: str) -> None:
    ada = await person(admin, password=f"correct{space}mule{space}nail")
    for spelt in (f"correct{space}mule{space}nail", "correct mule nail", "correct\u3000mule\u00a0nail"):
        assert (await ada.asks(password=spelt).get("/v1/users/self")).status == 200, ascii(spelt)
    assert (await ada.asks(password="correctmulenail").get("/v1/users/self")).problem == "credentials-refused"


@pytest.mark.parametrize(
    "password", ["\U0001f469\u200d\U0001f680 in orbit, again", "c1 \x85 controls are text", "\u202ertl override"]
)
async def test_a_password_may_contain_whatever_basic_authentication_can_carry(admin: Caller, password: str) -> None:
    ada = await person(admin, password=password)
    assert (await ada.asks().get("/v1/users/self")).status == 200


@pytest.mark.parametrize("control", ["\x00", "\t", "\n", "\x1f", "\x7f"])
async def test_ascii_control_characters_are_refused_in_passwords_and_basic_credentials(
    admin: Caller, control: str
) -> None:
    password = f"correct{control}mule accumulator"
    refused = await admin.post("/v1/users", {"email": "controls@x.org", "role": "member", "password": password})
    assert (refused.status, refused.problem) == (422, "bad-text" if control == "\x00" else "bad-password")
    for pair in (("controls@x.org", password), (f"con{control}trols@x.org", PASSWORD)):
        answer = await Caller(admin.session, basic(*pair)).get("/v1/users/self")
        assert (answer.status, answer.problem) == (401, "credentials-refused")
        assert "base64" in answer.json["detail"]


async def test_a_hash_made_with_nfkc_still_verifies(admin: Caller, api_settings: Settings) -> None:
    """Earlier hashes used compatibility mappings (NFKC), which RFC 8265 does not."""
    ada = await person(admin, password="\ufb01ne \uff2d\uff35\uff2c\uff25 accumulator")
    connection = await asyncpg.connect(api_settings.database_url)
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("fine MULE accumulator")
    await connection.execute("update password set hash = $2 where user_id = $1", ada.id, old)
    await connection.close()
    assert (await ada.asks().get("/v1/users/self")).status == 200
