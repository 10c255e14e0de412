"""Tokens in Postgres: what their decisions read besides their rows, and the JWTs that they accept once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from counterfoil.core.locked import Locked
from counterfoil.core.owners import can_be, spelt
from counterfoil.core.principal import Owner
from counterfoil.core.subjects.subject import Command, Unresolved
from counterfoil.core.subjects.token.commands import (
    AnnounceGrace,
    ConfirmRotation,
    Create,
    Exchange,
    Renew,
    Rotate,
    TokenCommand,
)
from counterfoil.core.subjects.token.kind import TokenReads, accepted_once, token_of
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.trust import ends_of
from counterfoil.core.unit_of_work import Done
from counterfoil.postgres import assertions, caller_recheck, owner_quotas, rotation_uses
from counterfoil.postgres.connection import Connection
from counterfoil.postgres.store import Store


class TokenStore(Store):
    """The store of tokens; their states are rows of `token`, which `batch` locks and writes."""

    has_own_table = True

    async def read(self, connection: Connection, commands: Sequence[Command | Unresolved], locked: Locked) -> None:
        """Read accepted JWTs, full owners, uses since rotations, and makers that are being revoked with their children.

        Before the callers are read: a bulk revocation that is over by then has revoked them.
        """
        reads = locked.of(TokenReads)
        tokens = [command for command in commands if isinstance(command, TokenCommand)]
        if makers := set(_makers(tokens, reads)):
            reads.revoked_with_children = await caller_recheck.descending(connection, makers)
        if presented := list(_presented_once(tokens, locked)):
            reads.accepted = await assertions.accepted(connection, presented)
        if owners := set(_growing(tokens, locked)):
            reads.rooms = await owner_quotas.hold_rooms(connection, owners)
        if rotations := list(_rotations(tokens, locked)):
            reads.secret_uses = await rotation_uses.uses_of(connection, rotations)

    async def keep(self, connection: Connection, done: Sequence[Done]) -> None:
        """Remember the JWTs that opened a token."""
        if accepted := list(_accepted(done)):
            await assertions.keep(connection, accepted)


def _makers(commands: Sequence[TokenCommand], reads: TokenReads) -> Iterator[tuple[UUID, UUID, Owner]]:
    """Yield the tokens that create one where a bulk revocation revokes children, with the owner of what they create."""
    for command in commands:
        if not isinstance(command, Create) or command.account not in reads.revoking_children:
            continue
        if command.by.actor.kind == "token" and can_be(command.owner):
            yield command.account, command.by.actor.id, spelt(command.owner)


def _presented_once(commands: Sequence[TokenCommand], locked: Locked) -> Iterator[tuple[UUID, UUID, bytes]]:
    for command in commands:
        digest = accepted_once(command, _token(command, locked))
        if digest is not None:
            yield (*command.key, digest)


def _growing(commands: Sequence[TokenCommand], locked: Locked) -> Iterator[owner_quotas.OwnerKey]:
    """Yield the owners who may have one more live token afterwards."""
    for command in commands:
        if isinstance(command, Create):
            yield command.account, spelt(command.owner)
        elif _may_live_again(command) and (token := _token(command, locked)) is not None:
            yield command.account, token.owner


def _rotations(commands: Sequence[TokenCommand], locked: Locked) -> Iterator[rotation_uses.Rotation]:
    """Yield the rotations whose confirmation or announcement depends on who uses which secret."""
    for command in commands:
        if isinstance(command, ConfirmRotation | AnnounceGrace) and (token := _token(command, locked)) is not None:
            yield (*command.key, token.generation)


def _may_live_again(command: TokenCommand) -> bool:
    return isinstance(command, Renew) or (isinstance(command, Rotate) and command.states_lifetime)


def _token(command: TokenCommand, locked: Locked) -> Token | None:
    row = locked.rows.get(command.key)
    return row.state if row is not None and isinstance(row.state, Token) else None


def _accepted(done: Sequence[Done]) -> Iterator[tuple[UUID, UUID, bytes, float]]:
    for each in done:
        command, digest = each.command, accepted_once(each.command, token_of(each.before))
        if digest is not None and isinstance(command, Exchange) and command.assertion is not None:
            yield (*command.key, digest, ends_of(command.assertion.claims))
