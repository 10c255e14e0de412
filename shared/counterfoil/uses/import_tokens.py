"""Imports of tokens: which of them exist already, and what a dry run reports for the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import UnsetType
from msgspec.structs import replace

from counterfoil.core.bounds import UNBOUNDED, Bounds
from counterfoil.core.events import Fact, Private
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import Refusal, SecretTaken
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.subjects.token.events import Created
from counterfoil.core.text import normal
from counterfoil.door import Door
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.imported_secrets import creations, holders


async def existing(
    pool: Pool, account: UUID, commands: Mapping[int, Create], *, of_others: bool
) -> dict[int, Fact | None]:
    """Find the commands whose secret is in the ledger already, each with the creation of the token that has it.

    None is a token of another account, whose creation this account cannot read; it is included only with `of_others`.
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
    """Return whether a command would create the token that this fact created; fields that it omits count as equal."""
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
        and (private == Private() or _kept(command.name, command.metadata) == _kept(private.name, private.metadata))
    )


def _compared(owner: Owner) -> tuple[str, str]:
    return owner.type, owner.id.replace("-", "").lower() if owner.type == "user" else owner.id


def _kept(name: str | UnsetType, metadata: Mapping[str, str] | UnsetType) -> tuple[str, dict[str, str]]:
    """Return these in the form in which the ledger keeps text."""
    return normal(name or ""), {key: normal(value) for key, value in (metadata or {}).items()}


async def rehearse(door: Door, commands: Sequence[Create]) -> list[Refusal | None]:
    """Return the refusal that each command would get if all were executed now.

    Secrets are compared only within these commands: a dry run must not reveal whether another account has one.
    """
    answers = await door.rehearse([replace(command, imported_digests=()) for command in commands])
    refusals: list[Refusal | None] = []
    seen: set[bytes] = set()
    for command, answer in zip(commands, answers, strict=True):
        if isinstance(answer, Refusal):
            refusals.append(answer)
            continue
        refusals.append(None if seen.isdisjoint(command.imported_digests) else SecretTaken())
        seen.update(command.imported_digests)
    return refusals
