"""The account of a login that names none."""

from time import monotonic
from typing import Final
from uuid import UUID

from counterfoil.core.principal import NIL
from counterfoil.core.refusals import Misconfigured
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.users import first_account

_KEPT_SECONDS: Final = 60.0
"""The default account never changes. But if two are created at the same moment, the later may be seen first."""


class DefaultAccount:
    """Looks up the account that DEFAULT_ACCOUNT names, or else the one that was created first."""

    def __init__(self, pool: Pool, named: UUID | None) -> None:
        self._pool = pool
        self._named = named
        self._found = NIL
        self._until = 0.0

    async def id(self) -> UUID:
        """Return its id, or NIL while there is no account. Raises Misconfigured if the named account is missing."""
        if self._found == NIL or monotonic() >= self._until:
            found = await first_account(self._pool, self._named)
            if found is None and self._named is not None:
                raise Misconfigured(
                    f"DEFAULT_ACCOUNT is {self._named}, and no account has this id; set it to one that exists, or leave"
                    " it empty."
                )
            self._found, self._until = found or NIL, monotonic() + _KEPT_SECONDS
        return self._found
