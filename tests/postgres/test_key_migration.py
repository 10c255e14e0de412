"""A database of before keys rotated: its one key goes on signing, and its log still adds up."""

import json

import asyncpg

from core.stories import NOON
from counterfoil.core.codec import seal
from counterfoil.core.events import Fact, Subject
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.subjects.signing_key_events import KeyCreated
from counterfoil.core.subjects.signing_keys import RING
from counterfoil.postgres.migrate import known_migrations, migrate
from counterfoil.postgres.signing_keys import stored_ring
from counterfoil.uses.audit.progress import Tally
from counterfoil.uses.audit.whole_log import replay
from counterfoil.uses.key_encryption import Sealing
from counterfoil_dev.postgres import APPLICATION, OWNER, Postgres

NAME = "before_rotation"


async def test_the_key_of_an_older_database_goes_on_signing(postgres_server: Postgres) -> None:
    postgres_server.run(f"drop database if exists {NAME} with (force);\ncreate database {NAME} owner {OWNER};")
    database = postgres_server.database(NAME)
    before = [migration for migration in known_migrations() if migration.number < 5]
    await migrate(database.owner_url, app_role=None, migrations=before)
    key = Sealing(b"k" * 32).new_key()
    created = KeyCreated(kid=key.kid, jwk=key.jwk)
    fact = Fact(
        account=NIL, subject=Subject("key", RING), version=1, type="created", at=NOON, by=SYSTEM.actor, event=created
    )
    sealed = seal(fact, prev=None, salt=b"")
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        """
        insert into event (account_id, kind, subject_id, version, type, at, entry)
        values ($1, 'signing_keys', $2, 1, $3, $4, $5)""",
        NIL, RING, "created", NOON, sealed.entry.decode(),
    )  # fmt: skip
    await owner.execute(
        """
        insert into subject (account_id, subject_id, kind, details, created_at, updated_at, version, at, leaf)
        values ($1, $2, 'key', $3, $4, $4, 1, $4, $5)""",
        NIL, RING, json.dumps({"jwk": key.jwk, "kid": key.kid}), NOON, sealed.leaf,
    )  # fmt: skip
    await owner.execute("insert into private_key values ($1, $2, $3)", NIL, RING, key.sealed_private)
    await migrate(database.owner_url, app_role=APPLICATION)
    stored = await stored_ring(owner)
    assert stored is not None
    assert [(each.kid, each.status, each.activated_at) for each in stored.ring.keys] == [(key.kid, "active", NOON)]
    assert dict(stored.sealed) == {key.kid: key.sealed_private}
    assert [finding async for finding in replay(database.app_url, Tally(lambda *_: None))] == []
    await owner.close()
    postgres_server.run(f"drop database {NAME} with (force);")
