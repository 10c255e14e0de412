"""The state of callers and their accounts, read after the rows of a batch are locked."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from counterfoil.core.caller_recheck import TokenCaller, UserCaller
from counterfoil.core.principal import NIL, Owner, Principal
from counterfoil.core.subjects.peppers import PEPPER_SET, Pepper
from counterfoil.core.subjects.subject import Key
from counterfoil.core.subjects.token.acceptance import Context
from counterfoil.core.subjects.user import User
from counterfoil.postgres import lookup, token_context
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.peppers import peppers_of
from counterfoil.postgres.subject_row import COLUMNS, state_of
from counterfoil.postgres.tenant_connection import Tenant
from counterfoil.postgres.token_context import account_context


async def caller_states(
    connection: Connection | Tenant, callers: Iterable[Principal], owners: Iterable[Key]
) -> dict[Key, TokenCaller | UserCaller]:
    """Return the present state of each of these users and tokens. Callers without a row are omitted."""
    wanted: dict[Key, str] = dict.fromkeys(owners, "user")
    wanted |= {(by.account, by.actor.id): by.actor.kind for by in callers if by.actor.kind != "system"}
    found: dict[Key, TokenCaller | UserCaller] = {}
    if tokens := [key for key, kind in wanted.items() if kind == "token"]:
        for row in await connection.fetch(
            f"""
            select {lookup.COLUMNS}
              from unnest($1::uuid[], $2::uuid[]) as k(account_id, token_id)
              join token t on (t.account_id, t.token_id) = (k.account_id, k.token_id)
              {token_context.joined("t")}""",
            *zip(*tokens, strict=True),
        ):
            found[row["account_id"], row["token_id"]] = TokenCaller(lookup.seen_of(row, None))
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
                found[user.account, user.id] = UserCaller(user)
    return found


async def accounts(
    connection: Connection | Tenant, wanted: Iterable[UUID]
) -> tuple[dict[UUID, Context], tuple[Pepper, ...], frozenset[UUID]]:
    """Return the context that each account gives its tokens, the peppers, and accounts with a certain bulk revocation.

    The last are the accounts with an open bulk revocation that also revokes children. One statement reads all three.
    """
    rows = await connection.fetch(
        """
        select s.account_id, s.subject_id, s.details,
               exists (select
                         from subject j
                        where j.account_id = s.account_id
                          and j.kind = 'bulk_revocation'
                          and j.status in ('accepted', 'running')
                          and j.details::json ->> 'children' is not null) as ends_children
          from unnest($1::uuid[], $2::uuid[]) as k(account_id, subject_id)
          join subject s on (s.account_id, s.subject_id) = (k.account_id, k.subject_id)""",
        *zip((NIL, PEPPER_SET), *((account, account) for account in wanted), strict=True),
    )
    found = {(row["account_id"], row["subject_id"]): row["details"] for row in rows}
    pepper_set = found.pop((NIL, PEPPER_SET), None)
    context = {account: account_context(details) for (account, _), details in found.items()}
    return context, peppers_of(pepper_set), frozenset(row["account_id"] for row in rows if row["ends_children"])


async def descending(connection: Connection, makers: Iterable[tuple[UUID, UUID, Owner]]) -> set[tuple[Key, Owner]]:
    """Return those of these tokens that an open bulk revocation may be about to revoke as children of other tokens.

    The result has each token's account and id, and the owner of the token that it would create. A token also counts if
    one of its ancestors was revoked, because the bulk revocation revokes ancestors first.
    """
    rows = await connection.fetch(
        """
        select distinct k.account_id, k.token_id, k.owner_type, k.owner_id
          from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as k(account_id, token_id, owner_type, owner_id)
          join subject j
            on j.account_id = k.account_id
           and j.kind = 'bulk_revocation'
           and j.status in ('accepted', 'running')
         cross join lateral (select j.details::json -> 'children' as children) as c
         where json_typeof(c.children) = 'object'
           and coalesce(c.children #>> '{owner,type}', k.owner_type) = k.owner_type
           and coalesce(c.children #>> '{owner,id}', k.owner_id) = k.owner_id
           and exists (
                 with recursive line (token_id) as (
                        select k.token_id
                         union
                        select t.creator_id
                          from line l
                          join token t on (t.account_id, t.token_id) = (k.account_id, l.token_id)
                         where t.creator_kind = 'token')
               select
                 from line l
                 join token t on (t.account_id, t.token_id) = (k.account_id, l.token_id)
                where t.status = 'revoked'
                   or t.creator_id = (c.children ->> 'made_by')::uuid
                   or (t.owner_type, t.owner_id) = ('user', c.children ->> 'made_by'))""",
        *zip(*((account, token, owner.type, owner.id) for account, token, owner in makers), strict=True),
    )
    return {((row["account_id"], row["token_id"]), Owner(row["owner_type"], row["owner_id"])) for row in rows}
