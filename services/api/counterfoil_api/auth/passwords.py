"""Users' passwords: checking one is slow on purpose, and must not delay other callers."""

import asyncio
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from counterfoil.core.password import one_spelling
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import CredentialsRefused, NetworkForbidden, Overloaded
from counterfoil.core.subjects.user import User, principal_of
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.users import KnownUser, rehash, user_by_email
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials
from counterfoil_api.auth.default_account import DefaultAccount
from counterfoil_api.auth.hashing import HashingTurns, to_its_end
from counterfoil_api.auth.login_attempts import LoginAttempt, LoginTurns
from counterfoil_api.auth.one_time import OneTimeCodes
from counterfoil_api.http.errors import OtpRequired


class Passwords:
    """Checks e-mail addresses and passwords."""

    def __init__(self, pool: Pool, default: DefaultAccount, logins: LoginTurns, codes: OneTimeCodes) -> None:
        self._pool = pool
        self._default = default
        self._logins = logins
        self._codes = codes
        self._hasher = PasswordHasher()
        self._turns = HashingTurns()
        # An unknown user takes as much time as a known one, so that time does not tell which users exist.
        self._unknown_users_hash = self._hasher.hash("nobody's password")

    async def principal(self, given: PasswordGiven, presented: PresentedCredentials) -> Principal:
        """Return the user of the named or the default account who has this address, password and code.

        Raises CredentialsRefused, which does not say what is wrong; OtpRequired if only the code is missing; and
        RateLimited after too many failures.
        """
        account = given.account or await self._default.id()
        # A login queues for hashing only in its own turn, so that one user's many logins wait for each other alone.
        async with self._logins.turn(account, given.email, presented.address) as login:
            known = await self._known(account, given, login)
            if not known.policy.admits(presented.address):  # before a code is used up; it counts as a failure
                login.failed(known.user.account, known.user.id)
                raise NetworkForbidden
            await self._refuse_code(known.user, presented.otp, login)
            login.passed()
        await self._refresh(known, given.password)
        return principal_of(known.user)

    async def hashed(self, password: str, account: UUID) -> str:
        """Hash a new password, in turn with others of this account."""
        async with self._turns.turn(str(account), at_home=True):
            return await to_its_end(self._hasher.hash, one_spelling(password))

    async def _known(self, account: UUID, given: PasswordGiven, login: LoginAttempt) -> KnownUser:
        try:
            async with self._turns.turn(login.queue, at_home=login.at_home):
                there, known = await user_by_email(self._pool, account, given.email)
                right = await to_its_end(self._verify, known, given.password)
        except (Overloaded, asyncio.CancelledError):  # cancelled if the wait is longer than a request may take
            login.crowded_out()
            raise
        if known is None:
            login.failed(there)
            raise CredentialsRefused
        if not right or known.user.status != "active":
            login.failed(known.user.account, known.user.id)
            raise CredentialsRefused
        return known

    async def _refuse_code(self, user: User, code: str | None, login: LoginAttempt) -> None:
        if not user.totp:
            return
        if code is None:
            raise OtpRequired
        if not await self._codes.accepts(user, code):
            login.failed(user.account, user.id)
            raise CredentialsRefused

    async def _refresh(self, known: KnownUser, password: str) -> None:
        """Hash a password anew if the parameters have changed; the caller does not notice."""
        if self._hasher.check_needs_rehash(known.password_hash):
            new = await self.hashed(password, known.user.account)
            await rehash(self._pool, known.user, old=known.password_hash, new=new)

    def _verify(self, user: KnownUser | None, password: str) -> bool:
        try:
            return self._hasher.verify(user.password_hash if user else self._unknown_users_hash, one_spelling(password))
        except (VerificationError, InvalidHashError):
            return False
