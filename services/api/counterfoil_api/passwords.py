"""Administrators' passwords: slow on purpose, and never in the way of everybody else."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from counterfoil.postgres.connection import Pool
from counterfoil.postgres.subject_row import KnownUser, user_by_email
from counterfoil.principal import Actor, Principal
from counterfoil.scopes import EVERYTHING
from counterfoil_api.complaints import CredentialsRefused

_AT_ONCE: Final = 2
"""Hashes computed at a time: each takes a core and 64 MiB for a tenth of a second or two."""


class Passwords:
    """Checks e-mail addresses and passwords."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._hasher = PasswordHasher()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        # Somebody unknown costs as much time as somebody known, so that time does not tell who is known.
        self._nobodys = self._hasher.hash("nobody's password")

    async def principal(self, email: str, password: str) -> Principal:
        """The administrator with this address and password, or `CredentialsRefused`."""
        user = await user_by_email(self._pool, email)
        async with self._turn:
            right = await asyncio.to_thread(self._verify, user, password)
        if user is None or not right:
            raise CredentialsRefused
        return Principal(actor=Actor("user", user.id), account=user.account, scopes=(EVERYTHING,))

    def _verify(self, user: KnownUser | None, password: str) -> bool:
        try:
            return self._hasher.verify(user.password_hash if user else self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
