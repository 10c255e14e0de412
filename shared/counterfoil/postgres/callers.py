"""Those who ask and their accounts, as they stand once the rows are held: a snapshot that is taken after that."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from counterfoil.callers import TokenAsking, UserAsking
from counterfoil.fold import Key, Standing
from counterfoil.principal import NIL, Principal
from counterfoil.subjects.pepper import PEPPER_SET, Pepper
from counterfoil.subjects.user import User
from counterfoil.token import Surroundings

from . import lookup, surroundings
from .connection import Connection
from .peppers import peppers_of
from .subject_row import COLUMNS, state_of
from .surroundings import around_all
from .tenant import Tenant


async def standing(
    connection: Connection | Tenant, callers: Iterable[Principal], owners: Iterable[Key]
) -> dict[Key, Standing]:
    """Return how each of these users and tokens stands; one of whom there is nothing is left out."""
    wanted: dict[Key, str] = dict.fromkeys(owners, "user")
    wanted |= {(by.account, by.actor.id): by.actor.kind for by in callers if by.actor.kind != "system"}
    found: dict[Key, Standing] = {}
    if tokens := [key for key, kind in wanted.items() if kind == "token"]:
        for row in await connection.fetch(
            f"""
            select {lookup.COLUMNS}
              from unnest($1::uuid[], $2::uuid[]) as k(account_id, token_id)
              join token t on (t.account_id, t.token_id) = (k.account_id, k.token_id)
              {surroundings.joined("t")}""",
            *zip(*tokens, strict=True),
        ):
            found[row["account_id"], row["token_id"]] = TokenAsking(lookup.seen_of(row, None))
    if users := [key for key, kind in wanted.items() if kind == "user"]:
        for row in await connection.fetch(
            f"""
            select {COLUMNS}
              from unnest($1::uuid[], $2::uuid[]) as k(wanted_account, wanted_id)
              join subject s on (s.account_id, s.subject_id) = (k.wanted_account, k.wanted_id)""",
            *zip(*users, strict=True),
        ):
            user = state_of(row)
            if isinstance(user, User):
                found[user.account, user.id] = UserAsking(user)
    return found


async def accounts(
    connection: Connection | Tenant, wanted: Iterable[UUID]
) -> tuple[dict[UUID, Surroundings], tuple[Pepper, ...]]:
    """Return what surrounds the tokens of each account, and beside it, in the one question, the peppers."""
    rows = await connection.fetch(
        """
        select s.account_id, s.subject_id, s.details
          from unnest($1::uuid[], $2::uuid[]) as k(account_id, subject_id)
          join subject s on (s.account_id, s.subject_id) = (k.account_id, k.subject_id)""",
        *zip((NIL, PEPPER_SET), *((account, account) for account in wanted), strict=True),
    )
    found = {(row["account_id"], row["subject_id"]): row["details"] for row in rows}
    pepper_set = found.pop((NIL, PEPPER_SET), None)
    return {account: around_all(details) for (account, _), details in found.items()}, peppers_of(pepper_set)
