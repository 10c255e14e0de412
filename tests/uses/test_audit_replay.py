"""An audit of the database finds nothing in an honest ledger and reports every manipulation."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
import uuid_utils.compat as uuids

from counterfoil.core import codec
from counterfoil.core.chain import Finding
from counterfoil.core.principal import SYSTEM
from counterfoil.core.refusals import Misconfigured
from counterfoil.core.subjects.account import CreateAccount
from counterfoil.core.subjects.token.commands import Create, Erase, Renew, Resume, Suspend
from counterfoil.core.subjects.user_commands import CreateUser
from counterfoil.door import Door
from counterfoil.uses.audit.progress import Tally
from counterfoil.uses.audit.whole_log import replay
from counterfoil_dev.postgres import APPLICATION, Database, Postgres
from door.asking import ACCOUNT, ADMIN, create, exchange, revoke, rotate, update

Tamper = Callable[..., Awaitable[None]]


async def audit(database: Database) -> tuple[list[Finding], Tally]:
    tally = Tally(lambda _done, _total: None)
    return [finding async for finding in replay(database.app_url, tally)], tally


async def named(database: Database) -> list[tuple[str, str | None, int | None]]:
    findings, _ = await audit(database)
    return [(finding.what, finding.field, finding.version) for finding in findings]


@pytest.fixture
async def story(database: Database) -> Create:
    """Five subjects; the returned token was created, renamed, exchanged, rotated and suspended (5 versions)."""
    async with Door(database.app_url) as door:
        made = create(description="what it is for", metadata={"team": "ops"})
        await door.execute(CreateAccount(account=ACCOUNT, id=ACCOUNT, by=SYSTEM, name="first"))
        await door.execute(
            CreateUser(
                account=ACCOUNT,
                id=uuids.uuid7(),
                by=SYSTEM,
                email="a@counterfoil.example",
                number=1,
                role="administrator",
                password_hash="x",
            )
        )
        for command in (made, update(made, name="weekly"), exchange(made), rotate(made)):
            await door.execute(command)
        await door.execute(Suspend(account=ACCOUNT, id=made.id, by=ADMIN, reason="leaked?"))
        for other in (create(), create()):
            await door.execute(other)
            await door.execute(Renew(account=ACCOUNT, id=other.id, by=ADMIN, lifetime="30d"))
            await door.execute(revoke(other))
    return made


@pytest.fixture
def tamper(database: Database) -> Tamper:
    """Change rows with the owner's rights, bypassing every trigger; `$1` is the account."""

    async def carry_out(statement: str, *values: object) -> None:
        connection = await asyncpg.connect(database.owner_url)
        try:
            for table in ("event", "secret"):
                await connection.execute(f"alter table {table} disable trigger user")
            done = await connection.execute(statement, *values)
            assert not done.endswith(" 0"), "nothing was tampered with"
        finally:
            await connection.close()

    return carry_out


async def test_an_honest_ledger_has_no_findings(database: Database, story: Create) -> None:
    findings, tally = await audit(database)
    assert findings == []
    assert story.name == "nightly"
    assert (tally.total, tally.events, tally.subjects) == (13, 13, 5)


async def test_an_empty_ledger_has_no_findings(database: Database) -> None:
    findings, tally = await audit(database)
    assert (findings, tally.total) == ([], 0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", "'other'"), ("status", "'active'"), ("scopes", """'["all"]'"""), ("expires_at", "null"),
        ("generation", "1"), ("owner_id", "'somebody'"), ("reason", "null"), ("revision", "9"), ("number", "4711"),
        ("last_exchanged_at", "null"), ("metadata", "'{}'"), ("leaf", "sha256('x')"), ("next_due_at", "now()"),
        ("hint", "'cfl_user_AAAA'"), ("thresholds", "'[]'"), ("creator_id", "token_id"), ("version", "6"),
    ],
)  # fmt: skip
async def test_a_changed_cell_is_reported(
    database: Database, story: Create, tamper: Tamper, column: str, value: str
) -> None:
    await tamper(f"update token set {column} = {value} where token_id = $1", story.id)
    (finding,) = (await audit(database))[0]
    field = {"owner_id": "owner", "creator_id": "creator"}.get(column, column)
    assert (finding.what, finding.field, finding.subject) == ("column-differs", field, story.id)


async def test_a_changed_address_of_a_user_is_reported(database: Database, story: Create, tamper: Tamper) -> None:
    await tamper("update subject set name = 'thief@counterfoil.example' where kind = 'user'")
    (finding,) = (await audit(database))[0]
    assert story
    assert (finding.kind, finding.what, finding.field) == ("user", "column-differs", "name")
    assert (finding.stored, finding.replayed) == ("thief@counterfoil.example", "a@counterfoil.example")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("delete from event where subject_id = $1 and version = 3",
         [("version-gap", None, 4), ("column-differs", "last_exchanged_at", None)]),
        ("delete from event where subject_id = $1 and version = 5",
         [("column-differs", field, None)
          for field in ("leaf", "status", "updated_at", "revision", "version", "at", "reason")]),
        ("delete from event where subject_id = $1 and version = 1", [("version-gap", None, 2),
                                                                     ("event-impossible", None, 2)]),
        ("delete from event where subject_id = $1", [("row-without-events", None, None),
                                                     ("secret-of-nothing", "generation", None),
                                                     ("secret-of-nothing", "generation", None)]),
        ("delete from token where token_id = $1", [("events-without-row", None, None)]),
        ("update event set type = 'resumed' where subject_id = $1 and version = 5", [("column-differs", "type", 5)]),
        ("update event set kind = 'user' where subject_id = $1 and version = 5", [("column-differs", "kind", 5)]),
        ("update event set at = at + interval '1 second' where subject_id = $1 and version = 2",
         [("column-differs", "at", 2)]),
        ("update event set entry = ' ' || entry where subject_id = $1 and version = 5",
         [("entry-not-canonical", None, 5), ("column-differs", "leaf", None)]),
        ("update event set entry = entry || ' ' where subject_id = $1 and version = 2",
         [("entry-not-canonical", None, 2), ("prev-broken", None, 3)]),
        ("update event set entry = '{\"v\":0}' where subject_id = $1 and version = 4",
         [("entry-unreadable", None, 4), ("prev-broken", None, 5)]),
        ("""update event set private = '{"name":"other"}' where subject_id = $1 and version = 2""",
         [("commitment-broken", None, 2), ("column-differs", "name", None)]),
        ("update event set salt = sha256('x') where subject_id = $1 and version = 2", [("commitment-broken", None, 2)]),
        ("""update event set private = '{"reason":"so"}', salt = sha256('x') where subject_id = $1 and version = 4""",
         [("private-part-uncommitted", None, 4)]),
        ("update event set private = null, salt = null where subject_id = $1 and version = 2",
         [("private-part-missing", None, 2)]),
        ("update token set scopes = '{' where token_id = $1", [("row-unreadable", None, None)]),
        ("delete from secret where token_id = $1 and generation = 2", [("secret-missing", "generation", None)]),
        ("update secret set generation = 2 where token_id = $1 and generation = 1",
         [("secret-missing", "generation", None), ("secret-doubled", "generation", None)]),
        ("update secret set generation = 3 where token_id = $1 and generation = 2",
         [("secret-of-nothing", "generation", None), ("secret-missing", "generation", None)]),
    ],
)  # fmt: skip
async def test_manipulated_history_is_reported(
    database: Database, story: Create, tamper: Tamper, statement: str, expected: list[tuple[str, str, int]]
) -> None:
    await tamper(statement, story.id)
    findings, tally = await audit(database)
    assert [(finding.what, finding.field, finding.version) for finding in findings] == expected
    assert {finding.subject for finding in findings} == {story.id}
    assert tally.findings == len(expected)


async def test_an_invented_secret_is_reported(database: Database, story: Create, tamper: Tamper) -> None:
    stranger = uuids.uuid7()
    await tamper("insert into secret values (sha256('x'), $1, $2, 1, 1)", story.account, stranger)
    (finding,) = (await audit(database))[0]
    assert (finding.subject, finding.what) == (stranger, "secret-of-nothing")


async def test_a_rewritten_history_is_detected_by_its_leaf(database: Database, story: Create, tamper: Tamper) -> None:
    """Even if all links and the state are rewritten, the next entry's `prev` or the row's leaf does not match."""
    connection = await asyncpg.connect(database.owner_url)
    entry = await connection.fetchval("select entry from event where subject_id = $1 and version = 3", story.id)
    await connection.close()
    forged = re.sub(r'"jti":"[0-9a-f-]+"', f'"jti":"{uuids.uuid7()}"', entry)
    assert codec.canonical(codec.entry_of(forged)) == forged.encode()
    await tamper("update event set entry = $2 where subject_id = $1 and version = 3", story.id, forged)
    assert await named(database) == [("prev-broken", None, 4)]


async def test_an_erased_private_part_is_no_finding(database: Database, story: Create, tamper: Tamper) -> None:
    async with Door(database.app_url) as door:
        await door.execute(Erase(account=ACCOUNT, id=story.id, by=ADMIN))
        await door.execute(Resume(account=ACCOUNT, id=story.id, by=ADMIN))
    await tamper("update event set private = null, salt = null where subject_id = $1", story.id)
    assert await named(database) == []


async def test_findings_show_no_digest(database: Database, story: Create, tamper: Tamper) -> None:
    assert story.secret is not None
    digest = story.secret.digest.hex()
    await tamper("update secret set generation = 7 where token_id = $1", story.id)
    findings, _ = await audit(database)
    assert findings
    assert digest not in repr(findings)


async def test_concurrent_writers_are_neither_stopped_nor_reported(database: Database, story: Create) -> None:
    assert story
    async with Door(database.app_url) as door:
        written = 0

        async def write() -> None:
            nonlocal written
            while written < 200:
                made = create()
                for command in (made, exchange(made), revoke(made)):
                    await door.execute(command)
                    written += 1

        writers = [asyncio.create_task(write()) for _ in range(8)]
        while written < 100:  # every one of these audits runs with concurrent writers
            findings, tally = await audit(database)
            assert findings == []
            assert tally.events == tally.total
        await asyncio.gather(*writers)


async def test_a_role_that_sees_only_a_part_cannot_pass_the_audit(
    database: Database, story: Create, postgres_server: Postgres
) -> None:
    del story

    async def audit_as(role: str) -> tuple[list[Finding], Tally]:
        tally = Tally(lambda _done, _total: None)
        return [finding async for finding in replay(postgres_server.url(role, database.name), tally)], tally

    postgres_server.run("create role half_blind login;")
    postgres_server.run("grant select on all tables in schema public to half_blind;", database=database.name)
    try:
        for policy in ("", "create policy half on event to half_blind using (version > 1);"):
            postgres_server.run(policy, database=database.name)
            with pytest.raises(Misconfigured, match="event, secret, subject, token"):
                await audit_as("half_blind")
        postgres_server.run(f"grant {APPLICATION} to half_blind;")
        findings, tally = await audit_as("half_blind")
        assert (findings, tally.events > 0) == ([], True)
        postgres_server.run("create policy few on event as restrictive using (version > 1);", database=database.name)
        with pytest.raises(Misconfigured, match="every row of event;"):
            await audit_as(APPLICATION)
    finally:
        postgres_server.run("drop owned by half_blind;", database=database.name)
        postgres_server.run("drop role half_blind;")
