"""Import of tokens from elsewhere: which of them are here already, and what a dry run would say of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from msgspec import UnsetType

from counterfoil.core.bounds import UNBOUNDED, Bounds
from counterfoil.core.events import Created, Fact, Subject
from counterfoil.core.owners import spelt
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import Refusal, SecretTaken
from counterfoil.core.subjects.account import Policy
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.token.decide import decide
from counterfoil.core.subjects.token.state import Context, Token, evolve, room_after
from counterfoil.core.subjects.user import User
from counterfoil.core.text import normal
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.imported_secrets import creations, holders
from counterfoil.postgres.liveness import database_time
from counterfoil.postgres.owner_quotas import rooms
from counterfoil.postgres.users import one_user


async def existing(
    pool: Pool, account: UUID, commands: Mapping[int, Create], *, of_others: bool
) -> dict[int, Fact | None]:
    """Find the commands whose secret is in the ledger already, each with the creation of the token that has it.

    None stands for a token whose creation this account cannot read. Tokens `of_others` are included only on request.
    """
    held = await holders(pool, (digest for each in commands.values() for digest in each.imported_digests))
    if not held:
        return {}
    whose = {n: held[digest] for n, each in commands.items() for digest in each.imported_digests if digest in held}
    created = await creations(pool, account, {token for holder, token in whose.values() if holder == account})
    return {
        n: created.get(token) if holder == account else None
        for n, (holder, token) in whose.items()
        if of_others or holder == account
    }


def is_same(command: Create, fact: Fact) -> bool:
    """Say whether a command would create the token that this fact created; what it leaves open is the same."""
    created = fact.event
    if not isinstance(created, Created):
        raise TypeError("a token begins with `created`")
    private = created.private
    bounds = Bounds(created.networks or (), created.rate_limit or None, created.max_uses or None)
    return (
        _compared(command.owner) == _compared(created.owner)
        and tuple(dict.fromkeys(command.scopes)) == created.scopes
        and command.lifetime in (None, created.lifetime)
        and command.expires_at in (None, created.expires_at)
        and Bounds(command.networks, command.rate_limit, command.max_uses) in (UNBOUNDED, bounds)
        and (private is None or _kept(command.name, command.metadata) == _kept(private.name, private.metadata))
    )


def _compared(owner: Owner) -> tuple[str, str]:
    return owner.type, owner.id.replace("-", "").lower() if owner.type == "user" else owner.id


def _kept(name: str | UnsetType, metadata: Mapping[str, str] | UnsetType) -> tuple[str, dict[str, str]]:
    """Return these in the form in which the ledger keeps text."""
    return normal(name or ""), {key: normal(value) for key, value in (metadata or {}).items()}


async def rehearse(pool: Pool, account: UUID, policy: Policy, commands: list[Create]) -> list[Refusal | None]:
    """Return the refusal that each command would get if all were executed now."""
    at = await database_time(pool)
    owners = await _users(pool, account, (command.owner.user for command in commands))
    full = await rooms(pool, account, {spelt(command.owner) for command in commands})
    refusals: list[Refusal | None] = []
    taken: set[bytes] = set()
    for command in commands:
        refusal: Refusal | None = None if taken.isdisjoint(command.imported_digests) else SecretTaken()
        try:
            token = _created(command, at, _context(policy, owners.get(command.owner.user)))
            if (room := full.get(key := spelt(command.owner))) is not None:
                full[key] = room_after(room, None, token)
        except Refusal as decided:
            refusals.append(decided)
            continue
        refusals.append(refusal)
        taken.update(command.imported_digests)
    return refusals


def _created(command: Create, at: datetime, context: Context) -> Token:
    """Return the token that a command would create, or raise its refusal."""
    (event,) = decide(None, command, at, context)
    subject, by = Subject("token", command.token_id), command.by.actor
    fact = Fact(account=command.account, subject=subject, version=1, type="created", at=at, by=by, event=event)
    return evolve(None, fact)


async def _users(pool: Pool, account: UUID, ids: Iterable[UUID | None]) -> dict[UUID | None, User]:
    found = await asyncio.gather(*(one_user(pool, account, each) for each in set(ids) if each is not None))
    return {user.id: user for user in found if user is not None}


def _context(policy: Policy, owner: User | None) -> Context:
    return Context(policy) if owner is None else Context(policy, owner=owner.status, owner_holds=owner.held)
