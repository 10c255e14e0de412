"""Give events their positions, in the whole log and in the log of their account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from counterfoil.postgres.connection import Connection


class LogBroken(Exception):  # noqa: N818 - named like the refusals
    """The log contradicts itself. The sealer stops, because further positions would hide that."""


class HeadOutOfStep(LogBroken):
    """The size in the head of the log is not its last position: something else than the sealer changed one."""

    def __init__(self, size: int, last: int) -> None:
        super().__init__(f"The size in the table head has to be {last}, the last position in sealed; it is {size}.")


class VersionOutOfOrder(LogBroken):
    """The version of an event does not follow the last sealed version of its subject: the door did not write it."""

    def __init__(self, account: UUID, subject: UUID, *, expected: int, found: int) -> None:
        super().__init__(
            f"The next version to seal of subject {subject} of account {account} has to be {expected}; it is {found}."
        )
        self.account, self.subject, self.expected, self.found = account, subject, expected, found


class _Place(NamedTuple):
    account: UUID
    account_position: int
    subject: UUID
    version: int


async def place(connection: Connection, rows: Sequence[asyncpg.Record], *, after: int) -> None:
    """Give events (account, subject, version) the positions after this one, in the order of the rows.

    Raises VersionOutOfOrder.
    """
    if not rows:
        return
    places = _places(rows, await _last_positions(connection, rows), await _last_versions(connection, rows))
    await connection.execute(
        """
        insert into sealed (pos, account_id, account_pos, subject_id, version)
        select $1 + place, account_id, account_pos, subject_id, version
          from unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[])
               with ordinality as placed (account_id, account_pos, subject_id, version, place)""",
        after, *zip(*places, strict=True),
    )  # fmt: skip


def _places(
    rows: Sequence[asyncpg.Record], positions: dict[UUID, int], versions: dict[tuple[UUID, UUID], int]
) -> list[_Place]:
    """Return the positions of these rows; raise VersionOutOfOrder if a version does not follow the last sealed one."""
    places = []
    for account, subject, version, _ in rows:
        expected = versions.get((account, subject), 0) + 1
        if version != expected:
            raise VersionOutOfOrder(account, subject, expected=expected, found=version)
        versions[account, subject] = version
        positions[account] += 1
        places.append(_Place(account, positions[account], subject, version))
    return places


async def _last_positions(connection: Connection, rows: Sequence[asyncpg.Record]) -> dict[UUID, int]:
    accounts = list({row["account_id"] for row in rows})
    found = await connection.fetch(
        """
        select coalesce((select max(account_pos) from sealed s where s.account_id = wanted.account_id), 0)
          from unnest($1::uuid[]) with ordinality as wanted (account_id, place)
         order by place""",
        accounts,
    )
    return {account: row[0] for account, row in zip(accounts, found, strict=True)}


async def _last_versions(connection: Connection, rows: Sequence[asyncpg.Record]) -> dict[tuple[UUID, UUID], int]:
    # The first event of a subject has no version before it.
    subjects = list({(account, subject) for account, subject, version, _ in rows if version > 1})
    found = await connection.fetch(
        """
        select coalesce((select max(version) from sealed s
                          where (s.account_id, s.subject_id) = (wanted.account_id, wanted.subject_id)), 0)
          from unnest($1::uuid[], $2::uuid[]) with ordinality as wanted (account_id, subject_id, place)
         order by place""",
        [account for account, _ in subjects], [subject for _, subject in subjects],
    )  # fmt: skip
    return {subject: row[0] for subject, row in zip(subjects, found, strict=True)}
