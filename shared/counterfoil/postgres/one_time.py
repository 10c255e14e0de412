"""TOTP seeds and recovery codes, which are not in the log. Of two concurrent uses of a code, one succeeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.core.refusals import NotFound
from counterfoil.postgres.connection import Connection, Pool

_CONFIRMED_WITHIN: Final = "1 hour"


class Seed(msgspec.Struct, frozen=True):
    """An encrypted seed, and the present step (30 seconds each since 1970) by the database's clock."""

    encrypted: bytes
    step: int


async def begin(pool: Pool, account: UUID, user: UUID, encrypted: bytes) -> None:
    """Store a seed to be confirmed, in place of an earlier one."""
    await pool.execute(
        """
        insert into totp_seed (account_id, user_id, enrolled, encrypted, last_step) values ($1, $2, false, $3, 0)
            on conflict (account_id, user_id, enrolled) do update
           set encrypted = excluded.encrypted, last_step = 0, made_at = clock_timestamp()""",
        account, user, encrypted,
    )  # fmt: skip


async def seed_of(pool: Pool, account: UUID, user: UUID, *, enrolled: bool) -> Seed | None:
    """Return the enrolled seed, or the one to be confirmed, which is kept for an hour."""
    row = await pool.fetchrow(
        f"""
        select encrypted, floor(extract(epoch from clock_timestamp()) / 30)::bigint as step
          from totp_seed
         where (account_id, user_id, enrolled) = ($1, $2, $3)
           and (enrolled or made_at > clock_timestamp() - interval '{_CONFIRMED_WITHIN}')""",
        account, user, enrolled,
    )  # fmt: skip
    return None if row is None else Seed(row["encrypted"], row["step"])


async def accept(pool: Pool, account: UUID, user: UUID, step: int, *, enrolled: bool) -> bool:
    """Accept the code of a step once; return False if this or a later step was accepted before."""
    # One statement compares and sets: of two at once the second waits for the row, and then finds a later step.
    accepted = await pool.fetchval(
        """
        update totp_seed
           set last_step = $4
         where (account_id, user_id, enrolled) = ($1, $2, $3)
           and last_step < $4
     returning true""",
        account, user, enrolled, step,
    )  # fmt: skip
    return accepted is True


async def place_of(pool: Pool, account: UUID, user: UUID, digests: Sequence[bytes]) -> tuple[int, bytes] | None:
    """Return which unused recovery code has one of these digests (one for each pepper), and which digest."""
    row = await pool.fetchrow(
        "select place, digest from recovery_code where (account_id, user_id) = ($1, $2) and digest = any($3::bytea[])",
        account, user, list(digests),
    )  # fmt: skip
    return None if row is None else (row["place"], row["digest"])


async def enrol(connection: Connection, account: UUID, user: UUID, encrypted: bytes, last_step: int) -> None:
    """Enrol this seed, in place of all others."""
    await connection.execute(
        """
          with gone as (
               delete from totp_seed where (account_id, user_id) = ($1, $2) and not enrolled)
        insert into totp_seed (account_id, user_id, enrolled, encrypted, last_step) values ($1, $2, true, $3, $4)
            on conflict (account_id, user_id, enrolled) do update
           set encrypted = excluded.encrypted, last_step = excluded.last_step, made_at = clock_timestamp()""",
        account, user, encrypted, last_step,
    )  # fmt: skip


async def keep_codes(
    connection: Connection, account: UUID, user: UUID, digests: Sequence[bytes], pepper_id: int
) -> None:
    """Store these recovery codes in order, in place of all others."""
    await _delete_codes(connection, account, user)
    await connection.execute(
        """
        insert into recovery_code (account_id, user_id, place, digest, pepper_id)
        select $1, $2, c.place - 1, c.digest, $4 from unnest($3::bytea[]) with ordinality as c(digest, place)""",
        account, user, list(digests), pepper_id,
    )  # fmt: skip


async def spend(connection: Connection, account: UUID, user: UUID, place: int, digest: bytes) -> None:
    """Delete a recovery code; raise NotFound if another one has its place."""
    spent = await connection.fetchval(
        """
        delete from recovery_code
         where (account_id, user_id, place) = ($1, $2, $3)
           and digest = $4
     returning true""",
        account, user, place, digest,
    )  # fmt: skip
    if spent is None:
        raise NotFound


async def forget(connection: Connection, account: UUID, user: UUID) -> None:
    """Delete all seeds and recovery codes of a user."""
    await connection.execute("delete from totp_seed where (account_id, user_id) = ($1, $2)", account, user)
    await _delete_codes(connection, account, user)


async def _delete_codes(connection: Connection, account: UUID, user: UUID) -> None:
    await connection.execute("delete from recovery_code where (account_id, user_id) = ($1, $2)", account, user)
