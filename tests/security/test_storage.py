"""B. How a secret is stored, and how little the stored value is worth alone."""

import hashlib
import hmac
from itertools import product

import pytest

from api.service import Caller, basic
from counterfoil.core.secret import Peppers, Secret, checksum, mint
from counterfoil.postgres.connection import Connection
from counterfoil.settings import Settings
from counterfoil_dev.postgres import Database
from postgres.tenant import PEPPERS, tenant_of
from postgres.test_lookup import looking


async def test_a_secret_is_stored_as_an_hmac_and_a_password_as_argon2id(
    admin: Caller, owner: Connection, settings: Settings
) -> None:
    plain = (await admin.issue())["secret"]
    newest = max(settings.peppers)
    digest = hmac.digest(settings.peppers[newest], plain.encode(), "sha256")
    assert await owner.fetchval("select pepper_id from secret where digest = $1", digest) == newest
    hashes = [row["hash"] for row in await owner.fetch("select hash from password")]
    assert hashes
    assert all(each.startswith("$argon2id$") for each in hashes)


async def test_a_dump_confirms_no_guess(admin: Caller, owner: Connection, settings: Settings) -> None:
    plain = (await admin.issue())["secret"]
    tables = ("secret", "token", "idempotency_key", "subject", "private_key")
    rows = [row for table in tables for row in await owner.fetch(f"select * from {table}")]
    cells = {value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row.values()}
    guesses = [part.encode() for part in (plain, plain[12:], plain[12:-6])]
    keys = [b"", *(cell for cell in cells if len(cell) <= 64)]
    confirmed = {hashlib.new(how, guess).digest() for how, guess in product(("sha256", "sha1", "md5"), guesses)}
    confirmed |= {hmac.digest(key, guess, "sha256") for key, guess in product(keys, guesses)}
    assert not confirmed & cells
    assert hmac.digest(settings.peppers[1], plain.encode(), "sha256") in cells, "with the pepper it is another matter"


@pytest.mark.parametrize("known", [1, 2])
async def test_an_unknown_secret_costs_as_much_work_as_an_ended_one(database: Database, known: int) -> None:
    peppers = Peppers({number: bytes([number]) * 32 for number in range(1, known + 1)})
    dead = mint("service")
    async with tenant_of(database) as tenant, looking(database) as (lookup, counting):
        await tenant.issue(secret=dead, peppers=Peppers({1: bytes([1]) * 32}), expires_at=None)
        work = []
        for secret in (dead, mint("service")):
            before = counting.queries
            await lookup.by_digests(peppers.digests(secret))
            work.append(counting.queries - before)
        assert work == [1, 1]


def test_a_right_beginning_of_a_secret_leads_no_nearer() -> None:
    right = mint("service").plain
    stored = PEPPERS.digests(Secret(right))[0]
    shared = []
    for length in range(12, 55):
        body = right[:length] + "".join("a" if c != "a" else "b" for c in right[length:55])
        digest = PEPPERS.digests(Secret(body + checksum(body)))[0]
        shared.append(next(n for n in range(32) if digest[n] != stored[n]))
    assert max(shared) <= 3, "what is looked up is an HMAC, which begins anew with every character"


async def test_an_answer_with_a_secret_is_not_stored_and_repeats_it_nowhere_else(admin: Caller) -> None:
    made = await admin.post("/v1/tokens", {"name": "x"}, Idempotency_Key="k" * 22)
    path = f"/v1/tokens/{made.json['token']['id']}"
    holder = Caller(admin.session, basic("", made.json["secret"]))
    shown = [
        made,
        await admin.post("/v1/tokens", {"name": "x"}, Idempotency_Key="k" * 22),
        await admin.post(f"{path}/clone", {}),
        await holder.post("/v1/exchange"),
        await admin.post(f"{path}/rotate", {"grace": "1h"}),
    ]
    for answer in shown:
        assert answer.headers["Cache-Control"] == "no-store"
        secret = answer.json.get("secret") or answer.json["access_token"]
        assert secret[20:] not in repr(answer.headers)
    assert shown[1].json["secret"] == made.json["secret"]
