"""The store of one kind: what its decisions read besides the locked rows, and its side tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from counterfoil.core.locked import Locked
from counterfoil.core.subjects.subject import Command, Unresolved
from counterfoil.core.unit_of_work import Done
from counterfoil.postgres.connection import Connection


class Store:
    """The store of a kind that reads nothing more and has no side table."""

    has_own_table: ClassVar[bool] = False
    """Whether its states are rows of a table of their own (`batch` locks and writes them), not of `subject`."""

    async def read(self, connection: Connection, commands: Sequence[Command | Unresolved], locked: Locked) -> None:
        """Read what the decisions about these commands depend on; their rows are locked by then."""

    async def keep(self, connection: Connection, done: Sequence[Done]) -> None:
        """Write the side tables of these commands, in the transaction of their events.

        A Refusal rolls the transaction back.
        """
