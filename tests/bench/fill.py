"""Fills a database with tokens: SQL copies one that the door created, with an entry, a leaf hash and a secret each."""

from typing import Final
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.scopes import EVERYTHING
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.token.state import Token
from counterfoil.door import Door
from counterfoil.postgres.token_row import COLUMNS
from counterfoil_dev.postgres import Database

from .sample import PEPPERS, digest, secret

# A copy differs from the first token only in these values. Each replacement keeps its place in the canonical order, so
# the entry stays canonical; the copy keeps the salt, and its commitment is computed again.
_SOW: Final = """
create temporary table sown as
  with copy as (
         select $1::uuid as account_id, n, digest, uuidv7() as token_id, 1 + n as number, 'token ' || n as name,
                'service-' || n % 1000 as owner_id
           from wanted),
       said as (
         select c.*, e.version, e.at, e.entry, e.salt, e.subject_id as first,
                encode(sha256(e.salt || convert_to(e.private, 'UTF8')), 'base64') as commitment,
                replace(e.private, '"name":"token 1"', '"name":"token ' || n || '"') as private
           from copy c
           join event e on (e.account_id, e.subject_id) = ($1, $2)),
       entered as (
         select account_id, n, digest, token_id, number, name, owner_id, first, version, at, private, salt,
                replace(replace(replace(replace(entry,
                  first::text, token_id::text),
                  '"number":2,', '"number":' || number || ','),
                  '"id":"service-1"', '"id":"' || owner_id || '"'),
                  commitment, encode(sha256(salt || convert_to(private, 'UTF8')), 'base64')) as entry
           from said)
select *, sha256('\\x00'::bytea || convert_to(entry, 'UTF8')) as leaf
  from entered"""

_EVENTS: Final = """
insert into event (account_id, kind, subject_id, version, type, at, entry, private, salt)
select account_id, 'token', token_id, version, 'created', at, entry, private, salt
  from sown order by n"""

_SECRETS: Final = """
insert into secret (digest, account_id, token_id, generation, pepper_id)
select digest, account_id, token_id, 1, 1 from sown"""

_OWN: Final = {"token_id", "number", "name", "owner_id", "leaf"}
_TOKENS: Final = f"""
insert into token ({", ".join(COLUMNS)})
select {", ".join(("s." if column in _OWN else "t.") + column for column in COLUMNS)}
  from sown s join token t on (t.account_id, t.token_id) = (s.account_id, s.first)
 order by s.n"""


async def fill(database: Database, *, tokens: int) -> UUID:
    """Create an account with this many tokens of the sample, and token number 0, which has all scopes."""
    account = uuid7()
    async with Door(database.app_url) as door:
        await door.execute(_creation(account, 0, scopes=(EVERYTHING,), lifetime="forever"))
        first = await door.execute(_creation(account, 1, scopes=("invoices.read", "invoices.write"), lifetime="90d"))
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("create temporary table wanted (n integer, digest bytea)")
        await owner.copy_records_to_table("wanted", records=((n, digest(n)) for n in range(2, tokens + 1)))
        await owner.execute("analyze wanted")
        await owner.execute(_SOW, account, first.of(Token).id)
        for statement in (_EVENTS, _TOKENS, _SECRETS):
            await owner.execute(statement)
        await owner.execute("vacuum analyze")
    finally:
        await owner.close()
    return account


def _creation(account: UUID, n: int, *, scopes: tuple[str, ...], lifetime: str) -> Create:
    maker = Principal(actor=Actor("system", account), account=account, scopes=(EVERYTHING,))
    return Create(
        account=account, id=uuid7(), by=maker, number=1 + n, owner=Owner("service", f"service-{n}"),
        name=f"token {n}", scopes=scopes, lifetime=lifetime, thresholds=(2_592_000, 604_800, 86_400),
        secret=PEPPERS.minted(secret(n)),
    )  # fmt: skip
