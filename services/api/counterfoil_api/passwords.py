"""Users' passwords: slow on purpose, and never in the way of everybody else."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from counterfoil.postgres.connection import Pool
from counterfoil.postgres.users import KnownUser, user_by_email
from counterfoil.principal import Actor, Principal
from counterfoil.refusals import NetworkForbidden, Overloaded
from counterfoil.user import owner_of
from counterfoil_api.authentication import Approach
from counterfoil_api.complaints import CredentialsRefused
from counterfoil_api.logins import Login, Logins

_AT_ONCE: Final = 2
"""Hashes computed at a time: each takes a core and 64 MiB for a tenth of a second or two."""
_LINE_LIMIT: Final = 32
"""Passwords waiting for their turn; who comes after them waits for seconds in vain, and is told so at once."""


class Passwords:
    """Checks e-mail addresses and passwords."""

    def __init__(self, pool: Pool, logins: Logins) -> None:
        self._waiting = 0
        self._pool = pool
        self._logins = logins
        self._hasher = PasswordHasher()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        # Somebody unknown costs as much time as somebody known, so that time does not tell who is known.
        self._nobodys = self._hasher.hash("nobody's password")

    async def principal(self, email: str, password: str, approach: Approach) -> Principal:
        """The user with this address and password, `CredentialsRefused`, or `RateLimited` after too many of those."""
        if self._waiting >= _LINE_LIMIT:
            raise Overloaded("Too many passwords are being checked; try again.")
        self._waiting += 1
        try:
            async with self._logins.turn(email, approach.address) as login:
                known = await self._known(email, password, login)
        finally:
            self._waiting -= 1
        user = known.user
        if not known.policy.admits(approach.address):
            raise NetworkForbidden
        return Principal(actor=Actor("user", user.id), account=user.account, scopes=user.held, owner=owner_of(user.id))

    async def _known(self, email: str, password: str, login: Login) -> KnownUser:
        known = await user_by_email(self._pool, email)
        async with self._turn:
            right = await asyncio.to_thread(self._verify, known, password)
        if known is None:
            login.failed()
            raise CredentialsRefused
        if not right or known.user.standing != "active":
            login.failed(known.user.account, known.user.id)
            raise CredentialsRefused
        login.passed()
        return known

    def _verify(self, user: KnownUser | None, password: str) -> bool:
        try:
            return self._hasher.verify(user.password_hash if user else self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
