"""Attempts to log in: each waits for its turn and reports its result."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from counterfoil.core.bounds import Address
from counterfoil.core.principal import NIL


@dataclass(slots=True)
class LoginAttempt:
    """One attempt: it `passed` or `failed`; otherwise nothing was computed.

    It waits in this `queue` until its password hash is computed; `at_home` marks a network where the user has logged
    in before.
    """

    queue: str
    at_home: bool
    succeeded: bool | None = None
    crowded: bool = False
    account: UUID = NIL
    user: UUID = NIL

    def passed(self) -> None:
        """Record that the password and the code were right."""
        self.succeeded = True

    def failed(self, account: UUID = NIL, user: UUID = NIL) -> None:
        """Record that the password or the code was wrong, and for which user, if there is one."""
        self.succeeded, self.account, self.user = False, account, user

    def crowded_out(self) -> None:
        """Record that too many attempts waited: the user has not failed, but the network counts the attempt."""
        self.crowded = True


class LoginTurns(Protocol):
    """Limits attempts to log in."""

    def turn(self, account: UUID, email: str, address: Address | None) -> AbstractAsyncContextManager[LoginAttempt]:
        """Wait for the turn of one attempt, or raise RateLimited before anything is computed."""
