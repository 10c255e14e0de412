"""One account with its own door, and commands in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.secret import Peppers, Secret, mint
from counterfoil.core.subjects.token import commands
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.postgres.connection import Pool, open_pool
from counterfoil_dev.postgres import Database

PEPPERS = Peppers({1: b"pepper of a test" * 2})
BILLING = Owner("service", "billing")


@dataclass(slots=True)
class Tenant:
    """An account, its administrator, a pool for reading and a door for writing."""

    door: Door
    pool: Pool
    account: UUID = field(default_factory=uuid7)
    numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def admin(self) -> Principal:
        return Principal(actor=Actor("user", self.account), account=self.account, scopes=("all",))

    async def issue(self, *, secret: Secret | None = None, peppers: Peppers = PEPPERS, **said: Any) -> Token:
        """Create a token with this name, these scopes and this lifetime."""
        minted = peppers.minted(secret or mint("service"))
        fields = {"owner": BILLING, "name": "nightly", "number": next(self.numbers), "secret": minted, **said}
        fields.setdefault("may_have_expired", True)
        return (await self.ask(commands.Create, uuid7(), **fields)).of(Token)

    async def ask(self, command: type[commands.TokenCommand], token_id: UUID, **fields: Any) -> Outcome:
        return await self.door.execute(command(account=self.account, id=token_id, by=self.admin, **fields))

    async def exchange(self, token: Token) -> Outcome:
        by = Principal(actor=Actor("token", token.id), account=self.account, scopes=token.scopes)
        return await self.door.execute(
            commands.Exchange(
                account=self.account, id=token.id, by=by, generation=token.generation, jti=uuid7(),
                lifetime_seconds=3600,
            )
        )  # fmt: skip


@asynccontextmanager
async def tenant_of(database: Database) -> AsyncIterator[Tenant]:
    """A new account in this database."""
    async with await open_pool(database.app_url, size=4) as pool, Door(database.app_url) as door:
        yield Tenant(door, pool)
