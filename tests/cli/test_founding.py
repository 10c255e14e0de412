"""An account is founded completely or not at all, whatever interrupts the command."""

import asyncio
import errno
import json
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from argon2 import PasswordHasher

from counterfoil.core.refusals import BadDuration, BadEmail
from counterfoil.core.secret import Peppers, recognised
from counterfoil.settings import Settings
from counterfoil.uses import found_account
from counterfoil.uses.credentials_file import AnotherFounding
from counterfoil.uses.example_tokens import TEMPLATES
from counterfoil.uses.found_account import found

EMAIL = "admin@counterfoil.example"
PEPPER = b"p" * 32


@dataclass(frozen=True)
class Place:
    settings: Settings
    file: Path
    owner_url: str

    async def found(self, name: str = "first", email: str = EMAIL, *, examples: bool = False) -> bool:
        return await found(self.settings, name=name, email=email, file=self.file, examples=examples)

    async def rows(self, query: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.owner_url)
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()


@pytest.fixture
def place(settings: Settings, tmp_path: Path) -> Place:
    return Place(settings, tmp_path / "credentials.json", str(settings.migrate_database_url))


async def test_a_founded_account_has_an_administrator_and_an_unrestricted_token(place: Place) -> None:
    assert await place.found()
    result = json.loads(place.file.read_text())
    assert place.file.stat().st_mode & 0o777 == 0o600
    assert result["url"] == place.settings.public_url
    assert [
        row["type"] for row in await place.rows("select type from event where kind <> 'peppers' order by ins_seq")
    ] == ["created"] * 3
    (user,) = await place.rows("select p.hash, s.name from password p join subject s on s.subject_id = p.user_id")
    assert user["name"] == result["admin_email"]
    assert PasswordHasher().verify(user["hash"], result["admin_password"])
    (token,) = await place.rows("select t.*, s.digest from token t join secret s using (account_id, token_id)")
    secret = recognised(result["admin_token"])
    assert secret is not None
    assert token["digest"] in Peppers({1: PEPPER}).digests(secret)
    assert (token["scopes"], str(token["account_id"])) == ('["all"]', result["account"])


async def test_founding_again_changes_nothing(place: Place) -> None:
    await place.found()
    before = place.file.read_bytes()
    assert not await place.found()
    assert place.file.read_bytes() == before
    assert len(await place.rows("select from event where kind <> 'peppers'")) == 3


async def test_with_examples_there_is_one_of_each_thing_that_vendors_clients_need(place: Place) -> None:
    assert await place.found(examples=True)
    result = json.loads(place.file.read_text())
    assert (result["admin_user_number"], result["member_user_number"]) == (1, 2)
    assert result["member_email"] == result["member_login"] == "member@counterfoil.example"
    assert re.fullmatch("[0-9a-f]{24}", result["application_id"])
    assert re.fullmatch("[0-9a-f]{32}", result["zone_id"])
    (hashed,) = await place.rows(f"select hash from password where user_id = '{result['member_user_id']}'")
    assert PasswordHasher().verify(hashed["hash"], result["member_password"])
    tokens = await place.rows("select * from token order by number")
    assert [(row["number"], row["owner_type"], row["owner_id"], row["status"]) for row in tokens] == [
        (1, "user", result["admin_user_id"], "active"),
        (2, "user", result["member_user_id"], "active"),
        (3, "application", result["application_id"], "revoked"),
        (4, "service", result["zone_id"], "revoked"),
    ]
    assert json.loads(tokens[1]["scopes"]) == ["own.*", "scopes.read", "losant.application.*", "virtuozzo.*"]
    assert str(tokens[1]["token_id"]) == result["member_token_id"]
    secret = recognised(result["member_token"])
    assert secret is not None
    (kept,) = await place.rows(f"select digest from secret where token_id = '{result['member_token_id']}'")
    assert kept["digest"] in Peppers({1: PEPPER}).digests(secret)
    sets = await place.rows("select name from subject where kind = 'scope_set'")
    assert {row["name"] for row in sets} == set(TEMPLATES)
    assert len(await place.rows("select distinct xid from event where kind <> 'peppers'")) == 1


async def test_a_member_needs_another_address_than_the_administrator(place: Place) -> None:
    assert await place.found(email="Member@counterfoil.example", examples=True)
    assert json.loads(place.file.read_text())["member_email"] == "second-member@counterfoil.example"


async def test_the_file_of_an_earlier_founding_is_accepted(place: Place) -> None:
    await place.found()
    result = json.loads(place.file.read_text())
    del result["admin_user_number"]
    place.file.write_text(json.dumps(result))
    assert not await place.found(examples=True)
    await found_account.renew_token(place.settings, file=place.file)
    assert json.loads(place.file.read_text()) == {**result, "admin_user_number": 1}


@pytest.mark.parametrize("examples", [False, True])
@pytest.mark.parametrize("committed", [False, True])
async def test_a_founding_interrupted_by_a_crash_is_finished_by_the_next_attempt(
    place: Place, monkeypatch: pytest.MonkeyPatch, committed: bool, examples: bool
) -> None:
    whole = found_account._execute

    async def cut(*given: Any) -> None:
        if committed:
            await whole(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(found_account, "_execute", cut)
        with pytest.raises(KeyboardInterrupt):
            await place.found(examples=examples)
    assert not place.file.exists()
    begun = json.loads((new := place.file.with_name("credentials.json.new")).read_text())
    assert await place.found(examples=examples)
    logins = {"admin_login": EMAIL, **({"member_login": "member@counterfoil.example"} if examples else {})}
    assert json.loads(place.file.read_text()) == begun | logins
    assert not new.exists()
    assert len(await place.rows("select from event where kind <> 'peppers'")) == (13 if examples else 3)


async def test_a_full_disk_loses_no_credentials_of_an_existing_account(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = found_account._execute

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:

        async def filling(*given: Any) -> None:
            await whole(*given)
            patched.setattr(os, "fdopen", full)

        patched.setattr(found_account, "_execute", filling)
        with pytest.raises(OSError, match="No space left"):
            await place.found()
    assert await place.found()
    (account,) = await place.rows("select account_id from subject where kind = 'account'")
    assert json.loads(place.file.read_text())["account"] == str(account["account_id"])
    assert list(place.file.parent.iterdir()) == [place.file]


async def test_a_torn_file_is_rewritten(place: Place) -> None:
    place.file.with_name("credentials.json.new").write_text('{"url": "http://')
    assert await place.found()
    assert json.loads(place.file.read_text())["admin_email"] == EMAIL


async def test_two_simultaneous_commands_found_one_account(place: Place) -> None:
    tries = [asyncio.to_thread(asyncio.run, place.found()) for _ in range(2)]
    assert sorted(await asyncio.gather(*tries)) == [False, True]
    assert len(await place.rows("select from event where kind <> 'peppers'")) == 3


async def test_one_address_founds_several_accounts_and_each_file_names_the_login(place: Place) -> None:
    await place.found()
    second = place.file.with_name("second.json")
    assert await found(place.settings, name="second", email=EMAIL.upper(), file=second)
    assert json.loads(place.file.read_text())["admin_login"] == EMAIL
    result = json.loads(second.read_text())
    assert result["admin_login"] == f"{result['account']}/{EMAIL.upper()}"


async def test_an_invalid_address_leaves_no_file_behind(place: Place) -> None:
    with pytest.raises(BadEmail):
        await place.found(email="nobody")
    assert list(place.file.parent.iterdir()) == []
    assert await place.found()


async def test_a_file_with_other_content_is_never_overwritten(place: Place) -> None:
    for content in ("notes", '{"a": 1}', ""):
        place.file.write_text(content)
        with pytest.raises(AnotherFounding):
            await place.found()
        assert place.file.read_text() == content
    place.file.unlink()
    await place.found()
    with pytest.raises(AnotherFounding):
        await place.found(name="other")


async def test_the_first_token_lives_for_a_year_unless_another_lifetime_is_stated(place: Place) -> None:
    await place.found()
    (row,) = await place.rows("select lifetime, expires_at - created_at as lives from token")
    assert (row["lifetime"], row["lives"]) == ("365d", timedelta(days=365))
    assert json.loads(place.file.read_text())["admin_token_lifetime"] == "365d"


async def test_the_first_token_has_the_stated_lifetime_and_is_renewed_on_the_server(place: Place) -> None:
    await found(place.settings, name="first", email=EMAIL, file=place.file, lifetime="90d")
    result = json.loads(place.file.read_text())
    assert result["admin_token_lifetime"] == "90d"

    async def left() -> timedelta | None:
        (row,) = await place.rows("select expires_at - clock_timestamp() as left from token")
        span: timedelta | None = row["left"]
        return span

    assert timedelta(days=89) < (await left() or timedelta(0)) <= timedelta(days=90)
    ends = await found_account.renew_token(place.settings, file=place.file, lifetime="30d")
    assert ends is not None
    assert timedelta(days=29) < (await left() or timedelta(0)) <= timedelta(days=30)
    assert json.loads(place.file.read_text()) == {**result, "admin_token_lifetime": "30d"}
    assert place.file.stat().st_mode & 0o777 == 0o600
    await found_account.renew_token(place.settings, file=place.file)
    assert json.loads(place.file.read_text())["admin_token_lifetime"] == "30d"
    await found_account.renew_token(place.settings, file=place.file, lifetime="forever")
    assert await left() is None


@pytest.mark.parametrize("lifetime", ["0s", "soon", ""])
async def test_an_invalid_lifetime_of_the_first_token_is_refused_before_founding(place: Place, lifetime: str) -> None:
    with pytest.raises(BadDuration):
        await found(place.settings, name="first", email=EMAIL, file=place.file, lifetime=lifetime)
    assert list(place.file.parent.iterdir()) == []


async def test_without_a_file_there_is_no_token_to_renew(place: Place) -> None:
    with pytest.raises(AnotherFounding, match="account create"):
        await found_account.renew_token(place.settings, file=place.file)
