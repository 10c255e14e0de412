"""One secret imported twice by different digests before it was first used: which of the two tokens it opens."""

from dataclasses import replace
from uuid import UUID

import pytest
import uuid_utils.compat as uuids

from counterfoil.core.imported_secrets import ALGORITHMS, Algorithm, ImportedSecret
from counterfoil.core.secret import Peppers
from counterfoil.core.subjects.token.commands import Create, ExchangeSecret
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import AllOrNothing
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.lookup import Lookup
from counterfoil_dev.postgres import Database
from door.asking import create

KEYS = {1: b"p" * 32, 2: b"q" * 32}
PEPPERS = Peppers(KEYS)
SECRET = ImportedSecret("old_5d41402abc4b2a76b9719d911017c592", ALGORITHMS)
EARLIER, LATER = (UUID(f"01a20000-0000-7000-8000-00000000000{n}") for n in (1, 2))


def imported(token_id: UUID, algorithm: Algorithm, pepper: int = 2) -> Create:
    known = replace(SECRET, algorithms=(algorithm,))
    peppers = Peppers({n: KEYS[n] for n in range(1, pepper + 1)})
    return create(id=token_id, secret=peppers.minted(known), imported_digests=PEPPERS.digests(known))


async def opened(door: Door, database: Database) -> tuple[UUID, UUID]:
    """Return the token that an exchange finds and the one that a look-up finds."""
    digests = PEPPERS.digests(SECRET)
    exchanged = await door.execute(ExchangeSecret(digests=digests, jti=uuids.uuid7(), lifetime_seconds=60))
    async with await open_pool(database.app_url, size=1) as pool:
        seen = await Lookup(pool).by_digests(digests)
    assert seen is not None
    return exchanged.of(Token).id, seen.id


@pytest.mark.parametrize(("first", "second"), [("sha256", "sha512"), ("sha512", "sha256")])
async def test_the_secret_opens_the_older_token_by_the_databases_clock(
    door: Door, database: Database, first: Algorithm, second: Algorithm
) -> None:
    await door.execute(imported(LATER, first))  # by a process whose clock is ahead
    await door.execute(imported(EARLIER, second))
    assert await opened(door, database) == (LATER, LATER)


@pytest.mark.parametrize("pepper", [1, 2])
async def test_of_two_tokens_of_the_same_age_the_secret_opens_the_one_by_sha256(
    door: Door, database: Database, pepper: int
) -> None:
    await door.execute(AllOrNothing((imported(EARLIER, "sha512"), imported(LATER, "sha256", pepper))))
    assert await opened(door, database) == (LATER, LATER)
