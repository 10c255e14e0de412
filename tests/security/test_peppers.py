"""B7, H32. Peppers are introduced, sign, and are retired; each step is an event, and callers notice nothing."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from api.service import Caller, basic, founded, served, settings_for
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.refusals import InUse, Misconfigured, NotFound, TooEarly
from counterfoil.core.secret import Peppers
from counterfoil.core.subjects.peppers import PEPPER_SET, ActivatePepper, RetirePepper
from counterfoil.door import Door
from counterfoil.postgres.connection import Connection, open_pool
from counterfoil.postgres.peppers import left
from counterfoil.uses.audit.progress import Tally
from counterfoil.uses.audit.whole_log import replay
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database


def pepper(number: int, byte: int | None = None) -> str:
    return f"{number}:{b64encode(bytes([byte or number]) * 32).decode()}"


OLD, BOTH, NEW = pepper(1), f"{pepper(1)},{pepper(2)}", pepper(2)


@pytest_asyncio.fixture
async def owner(database: Database) -> AsyncIterator[Connection]:
    """A connection that sees every row."""
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def peppered(database: Database, peppers: str, token: str) -> AsyncIterator[Caller]:
    """A caller with this token, at a service with these peppers."""
    app = make_app(settings_for(database.app_url, PEPPERS=peppers))
    async with served(app) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {token}")


async def ask(database: Database, command: type[ActivatePepper | RetirePepper], **fields: Any) -> None:
    async with Door(database.app_url) as door:
        await door.execute(command(account=NIL, id=PEPPER_SET, by=SYSTEM, **fields))


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110 - a process hears of it when it does
            await asyncio.sleep(0.05)


async def opens(admin: Caller, *secrets: str) -> list[bool]:
    return [(await admin.with_token(secret).get("/v1/tokens/self")).status == 200 for secret in secrets]


async def kept_under(owner: Connection, token: str) -> list[int]:
    rows = await owner.fetch("select pepper_id from secret where token_id = $1 order by pepper_id", token)
    return [row["pepper_id"] for row in rows]


async def test_an_old_and_a_new_pepper_verify_and_a_retired_one_does_not(
    database: Database, tmp_path: Path, owner: Connection
) -> None:
    token = (await founded(settings_for(database.app_url, PEPPERS=OLD), "peppered", tmp_path))["admin_token"]
    async with peppered(database, BOTH, token) as admin:
        used, unused = [await admin.issue() for _ in range(2)]
        assert await kept_under(owner, used["token"]["id"]) == [1], "one that is only introduced does not sign"
        await ask(database, ActivatePepper, number=2)

        async def signs() -> bool:
            return await kept_under(owner, (await admin.issue())["token"]["id"]) == [2]

        await until(signs)
        fresh = await admin.issue()
        secrets = [each["secret"] for each in (used, unused, fresh)]
        assert await opens(admin, secrets[0], secrets[2]) == [True, True]

        async def again() -> bool:
            return await kept_under(owner, used["token"]["id"]) == [1, 2]

        await until(again)
        with pytest.raises(TooEarly):
            await ask(database, RetirePepper, number=1, left=0)
        await ask(database, RetirePepper, number=1, left=1, force=True)

        async def refused() -> bool:
            return await opens(admin, *secrets) == [True, False, True]

        await until(refused)
        assert (await Caller(admin.session, basic("", secrets[1])).post("/v1/exchange")).status == 401
        assert (await Caller(admin.session, basic("", secrets[0])).post("/v1/exchange")).status == 200
    async with peppered(database, NEW, token) as admin:
        assert await opens(admin, *secrets, token) == [True, False, True, True]
    async with peppered(database, BOTH, token) as admin:
        assert await opens(admin, *secrets, token) == [True, False, True, True], "though it is in PEPPERS again"
    assert [finding async for finding in replay(database.app_url, Tally(lambda *_: None))] == []


async def test_a_secret_is_digested_again_by_its_exchange(
    database: Database, tmp_path: Path, owner: Connection
) -> None:
    token = (await founded(settings_for(database.app_url, PEPPERS=OLD), "buying", tmp_path))["admin_token"]
    async with peppered(database, BOTH, token) as admin:
        bought = await admin.issue()
        await ask(database, ActivatePepper, number=2)

        async def again() -> bool:
            assert (await Caller(admin.session, basic("", bought["secret"])).post("/v1/exchange")).status == 200
            return await kept_under(owner, bought["token"]["id"]) == [1, 2]

        await until(again)


@pytest.mark.parametrize(
    ("peppers", "complaint"),
    [
        (pepper(1, 9), "PEPPERS: 1 is not the key"),
        (f"{pepper(1, 9)},{NEW}", "PEPPERS: 1 is"),
        (NEW, "PEPPERS lacks 1"),
    ],
)
async def test_a_process_with_a_wrong_key_or_without_the_signing_pepper_does_not_start(
    database: Database, tmp_path: Path, owner: Connection, peppers: str, complaint: str
) -> None:
    await founded(settings_for(database.app_url, PEPPERS=OLD), "first", tmp_path)
    other = settings_for(database.app_url, PEPPERS=peppers)
    with pytest.raises(Misconfigured, match=complaint):
        await web.AppRunner(make_app(other)).setup()
    with pytest.raises(Misconfigured, match=complaint):
        await founded(other, "second", _made(tmp_path / "second"))
    assert await owner.fetchval("select count(*) from subject where kind = 'account'") == 1


async def test_a_process_that_lacks_the_signing_pepper_is_not_ready_and_refuses_no_token_for_good(
    database: Database, tmp_path: Path
) -> None:
    token = (await founded(settings_for(database.app_url, PEPPERS=OLD), "lacking", tmp_path))["admin_token"]
    async with peppered(database, OLD, token) as behind, peppered(database, BOTH, token) as ahead:
        await ask(database, ActivatePepper, number=2)

        async def unready() -> bool:
            return (await behind.get("/readyz")).status == 503

        await until(unready)
        answer = await behind.get("/readyz")
        assert (answer.problem, answer.json["detail"]) == (
            "misconfigured", "PEPPERS lacks 2, which new secrets use. Add it.",
        )  # fmt: skip
        assert (await behind.get("/v1/tokens")).status == 503
        assert (await ahead.get("/v1/tokens")).status == 200


async def test_a_process_that_lacks_the_signing_pepper_never_reports_a_leaked_secret_as_ended(
    database: Database, tmp_path: Path, owner: Connection
) -> None:
    token = (await founded(settings_for(database.app_url, PEPPERS=OLD), "leaking", tmp_path))["admin_token"]
    async with peppered(database, OLD, token) as behind, peppered(database, BOTH, token) as ahead:
        await ask(database, ActivatePepper, number=2)
        issued: list[Any] = []

        async def signs() -> bool:
            issued.append(await ahead.issue())
            return await kept_under(owner, issued[-1]["token"]["id"]) == [2]

        await until(signs)
        leaked = issued[-1]["secret"]
        answer = await behind.post("/v1/leak-reports", [leaked])
        assert (answer.status, answer.problem) == (503, "misconfigured")
        assert await opens(ahead, leaked) == [True]
        assert (await ahead.post("/v1/leak-reports", [leaked])).status == 202
        assert await opens(ahead, leaked) == [False]


async def test_secrets_that_could_be_revived_are_counted_before_a_pepper_is_retired(
    database: Database, tmp_path: Path
) -> None:
    token = (await founded(settings_for(database.app_url, PEPPERS=OLD), "expired", tmp_path))["admin_token"]

    async def alone() -> int:
        async with await open_pool(database.app_url, size=1) as pool:
            return (await left(pool, ()))[1].alone

    async with peppered(database, BOTH, token) as admin:
        before = await alone()
        expired, suspended, revoked, rotated = [await admin.issue(**said) for said in ({"lifetime": "1us"}, {}, {}, {})]
        await admin.post(f"/v1/tokens/{suspended['token']['id']}/suspend")
        await admin.post(f"/v1/tokens/{revoked['token']['id']}/revoke", {"reason": "over"})
        await admin.post(f"/v1/tokens/{rotated['token']['id']}/rotate", {"grace": "0s"})
        assert await alone() - before == 3, "the expired, the suspended, and what the last was rotated to"
        assert await opens(admin, expired["secret"]) == [False]
        assert (await admin.post(f"/v1/tokens/{expired['token']['id']}/renew", {"lifetime": "1d"})).status == 200
        assert await opens(admin, expired["secret"]) == [True]
        assert await alone() - before == 3


async def test_a_process_that_missed_a_retirement_issues_no_unusable_secret(
    database: Database, tmp_path: Path, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await founded(settings_for(database.app_url, PEPPERS=OLD), "sleeping", tmp_path))["admin_token"]
    async with peppered(database, BOTH, token) as admin:
        old = await admin.issue()
        monkeypatch.setattr(Peppers, "follow", lambda *_: None)  # from now on it misses all changes
        await ask(database, ActivatePepper, number=2)
        await ask(database, RetirePepper, number=1, left=2, force=True)
        written = "select (select count(*) from event where kind = 'token') + (select count(*) from secret)"
        before = await owner.fetchval(written)
        for path, body in (("", {"name": "late"}), (f"/{old['token']['id']}/rotate", {"grace": "0s"})):
            answer = await admin.post(f"/v1/tokens{path}", body)
            assert (answer.status, answer.problem, answer.headers["Retry-After"]) == (503, "overloaded", "1")
        assert await owner.fetchval(written) == before


async def test_every_step_of_a_pepper_is_an_event_without_a_key(
    database: Database, tmp_path: Path, owner: Connection
) -> None:
    settings = settings_for(database.app_url, PEPPERS=BOTH)
    await founded(settings, "logged", tmp_path)
    await ask(database, ActivatePepper, number=1)
    await ask(database, RetirePepper, number=2, left=0, force=True)
    rows = await owner.fetch("select type, entry from event where kind = 'peppers' order by version")
    assert [row["type"] for row in rows] == ["introduced", "introduced", "activated", "activated", "retired"]
    text = " ".join(row["entry"] for row in rows)
    for key in settings.peppers.values():
        assert key.hex() not in text
        assert b64encode(key).decode() not in text
    for number, refusal in ((1, InUse), (7, NotFound)):
        with pytest.raises(refusal):
            await ask(database, RetirePepper, number=number, left=0, force=True)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
