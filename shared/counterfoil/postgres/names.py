"""Names for ids: a token's number and name, a user's number and e-mail address."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal
from uuid import UUID

import msgspec

from counterfoil.core.principal import Owner
from counterfoil.core.subjects.token.state import SESSION
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.schema_changes import repeated
from counterfoil.postgres.tenant_connection import tenant


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A token or a user of an account; the name is null where it was erased. `owner` is a token's.

    `session` says that a login made the token.
    """

    kind: Literal["token", "user"]
    number: int
    name: str | None
    owner: Owner | None
    session: bool = False


@repeated
async def names_of(pool: Pool, account: UUID, ids: Iterable[UUID]) -> dict[UUID, Named]:
    """Return the names of those ids that are a token or a user of this account, by one query."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    async with tenant(pool, account) as connection:
        rows = await connection.fetch(
            f"""
            select t.token_id as id, 'token' as kind, t.number, t.name, t.owner_type, t.owner_id,
                   right(t.dialect, {len(SESSION)}) = '{SESSION}' as session
              from token t
             where t.account_id = $1 and t.token_id = any($2)
             union all
            select s.subject_id, s.kind, s.number, s.name, null, null, false
              from subject s
             where s.account_id = $1 and s.subject_id = any($2) and s.kind = 'user'""",
            account, wanted,
        )  # fmt: skip
    return {
        row["id"]: Named(
            kind=row["kind"],
            number=row["number"],
            name=row["name"],
            owner=None if row["owner_type"] is None else Owner(row["owner_type"], row["owner_id"]),
            session=row["session"],
        )
        for row in rows
    }
