"""Users of before there were keys of addresses: all get one, and nobody is merged with anybody."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from counterfoil.core.emails import key
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.email_keys import Keyed, assigned
from counterfoil.postgres.migrate import known_migrations, migrate
from counterfoil.postgres.users import one_user, users_by_email
from counterfoil_dev.postgres import APPLICATION, OWNER, Database, Postgres

NAME = "before_email_keys"
OURS, THEIRS = UUID(int=1), UUID(int=2)
USERS = [
    (OURS, "jos\u00e9@example.org"), (OURS, "jose\u0301@example.org"), (THEIRS, "jose\u0301@example.org"),
    (OURS, "a@xn--bcher-kva.example"), (OURS, "a@b\u00fccher.example"), (OURS, "a:b@example.org"), (OURS, None),
]  # fmt: skip

_ADDED = """
    insert into subject (account_id, subject_id, kind, number, name, details, leaf,
                         created_at, updated_at, revision, version, at)
    values ($1, $2, $3, $4, $5, $6, $7, now(), now(), 1, 1, now())"""


@pytest.fixture
async def older(postgres_server: Postgres) -> AsyncIterator[Database]:
    """A database of before keys, with some users, of whom two pairs have one address each."""
    postgres_server.run(f"drop database if exists {NAME} with (force);\ncreate database {NAME} owner {OWNER};")
    database = postgres_server.database(NAME)
    await migrate(database.owner_url, app_role=None, migrations=[m for m in known_migrations() if m.number < 21])
    owner = await asyncpg.connect(database.owner_url)
    for account in (OURS, THEIRS):
        await owner.execute(_ADDED, account, account, "account", None, "an account", "{}", b"l" * 32)
    for number, (account, name) in enumerate(USERS, 1):
        user = UUID(int=100 + number)
        await owner.execute(_ADDED, account, user, "user", number, name, '{"role": "member"}', b"l" * 32)
        await owner.execute("insert into password values ($1, $2, 'hash')", account, user)
    await owner.close()
    yield database
    postgres_server.run(f"drop database {NAME} with (force);")


async def test_users_of_one_address_are_reported_and_each_found_by_their_own_spelling(older: Database) -> None:
    told: list[str] = []
    assert "0021_email_keys.sql" in await migrate(older.owner_url, app_role=APPLICATION, tell=told.append)
    assert [complaint.partition(" in another spelling")[0].partition(", with")[0] for complaint in told] == [
        f"User 2 of the account {OURS} has the e-mail address of User 1 of the account {OURS}",
        f"User 5 of the account {OURS} has the e-mail address of User 4 of the account {OURS}",
        f"User 6 of the account {OURS} has an e-mail address with a colon",
    ]
    assert not any("@" in complaint or "jos" in complaint for complaint in told)
    async with await open_pool(older.app_url, size=1) as pool:
        for number, (account, name) in enumerate(USERS, 1):
            if name is not None:
                found = await one_user(pool, account, name.upper() if name.isascii() else name)
                assert found is not None
                assert (found.number, found.name) == (number, name)
        assert [each.user.account for each in await users_by_email(pool, "JOSE\u0301@example.org")] == [OURS, THEIRS]
    again: list[str] = []
    assert await migrate(older.owner_url, app_role=APPLICATION, tell=again.append) == []
    assert sorted(again) == sorted(told)


async def test_who_is_left_of_two_gets_the_key_when_migrated_again(older: Database) -> None:
    await migrate(older.owner_url, app_role=APPLICATION)
    owner = await asyncpg.connect(older.owner_url)
    await owner.execute("update subject set name = null where number in (1, 6)")  # as an older process removes a user
    await owner.execute("update subject set name = 'other@example.org' where number = 4")  # and as it renames one
    told: list[str] = []
    await migrate(older.owner_url, app_role=APPLICATION, tell=told.append)
    rows = await owner.fetch("select number, email_key from subject where kind = 'user'")
    keys = {row["number"]: row["email_key"] for row in rows}
    await owner.close()
    assert told == []
    assert keys == {number: name and key(name) for number, (_, name) in enumerate(USERS, 1)} | {
        1: None, 4: key("other@example.org"), 6: None,
    }  # fmt: skip


def test_who_has_the_right_key_keeps_it_before_somebody_older() -> None:
    users = [
        Keyed(OURS, UUID(int=1), 1, "ada@example.org", None),
        Keyed(OURS, UUID(int=2), 2, "ADA@example.org", key("ada@example.org")),
        Keyed(THEIRS, UUID(int=3), None, "ada@example.org", b"of an older Unicode"),
    ]  # fmt: skip
    found = assigned(users)
    assert found.keys == {(THEIRS, UUID(int=3)): key("ada@example.org")}
    assert [each.split(" of ")[0] for each in found.complaints] == ["User 1"]
