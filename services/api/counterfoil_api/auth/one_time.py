"""One-time codes (RFC 6238) and recovery codes; every process refuses a code that was accepted once."""

import base64
import hmac
import os
import re
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyotp import TOTP, random_base32

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import Denied, NotFound
from counterfoil.core.secret import Peppers, Secret
from counterfoil.core.subjects.user import User, principal_of
from counterfoil.core.subjects.user_commands import EnrolTotp, UseRecoveryCode
from counterfoil.door import Door
from counterfoil.postgres import one_time as sql
from counterfoil.postgres.connection import Pool
from counterfoil_api.http.errors import BadCode

ISSUER: Final = "Counterfoil"
RECOVERY_CODES: Final = 10
_WINDOW: Final = (-1, 0, 1)
"""How many steps of 30 seconds a clock may be wrong, or a user late."""
_DIGITS: Final = re.compile(r"[0-9]{6}")
_RECOVERY: Final = re.compile(r"[a-z2-7]{16}")
_NONCE_LENGTH: Final = 12


class OneTimeCodes:
    """Enrols seeds and accepts codes; the key (32 bytes) encrypts seeds only."""

    def __init__(self, pool: Pool, door: Door, peppers: Peppers, *, key: bytes) -> None:
        self._pool = pool
        self._door = door
        self._peppers = peppers
        self._cipher = AESGCM(key)

    async def begin(self, user: User) -> TOTP:
        """Return a new seed; it takes effect when the user confirms it within an hour."""
        seed, nonce = random_base32(), os.urandom(_NONCE_LENGTH)
        sealed = nonce + self._cipher.encrypt(nonce, seed.encode(), _bound(user))
        await sql.begin(self._pool, user.account, user.id, sealed)
        return TOTP(seed, name=user.name or "", issuer=ISSUER)

    async def confirm(self, caller: Principal, user: User, code: str) -> tuple[User, list[str]]:
        """Confirm the seed; return the user, who needs codes from now on, and the recovery codes. Raises BadCode."""
        seed = await sql.seed_of(self._pool, user.account, user.id, enrolled=False)
        if seed is None:
            raise NotFound("No enrolment has begun, so there is no code to confirm; begin the enrolment first.")
        plain = _plain(code)
        step = self._step_of(user, seed, plain) if _DIGITS.fullmatch(plain) else None
        if step is None or not await sql.accept(self._pool, user.account, user.id, step, enrolled=False):
            raise BadCode(field="code")
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        command = EnrolTotp(
            account=user.account, id=user.id, by=caller, encrypted_seed=seed.encrypted, last_step=step,
            recovery_digests=tuple(self._digests(user, _plain(code))[0] for code in codes),
            pepper_id=self._peppers.signing,
        )  # fmt: skip
        enrolled = (await self._door.execute(command)).state
        if not isinstance(enrolled, User):
            raise TypeError("a command about a user ends in one")
        return enrolled, codes

    async def accepts(self, user: User, code: str) -> bool:
        """Accept a code of this user once; return whether it is one that was not accepted before."""
        plain = _plain(code)
        if _DIGITS.fullmatch(plain):
            seed = await sql.seed_of(self._pool, user.account, user.id, enrolled=True)
            step = None if seed is None else self._step_of(user, seed, plain)
            return step is not None and await sql.accept(self._pool, user.account, user.id, step, enrolled=True)
        return _RECOVERY.fullmatch(plain) is not None and await self._recovers(user, plain)

    async def _recovers(self, user: User, plain: str) -> bool:
        found = await sql.place_of(self._pool, user.account, user.id, self._digests(user, plain))
        if found is None:
            return False
        place, digest = found
        try:
            # If two requests present one code at once, the door accepts the first.
            await self._door.execute(
                UseRecoveryCode(account=user.account, id=user.id, by=principal_of(user), index=place, digest=digest)
            )
        except (NotFound, Denied):
            return False
        return True

    def _step_of(self, user: User, seed: sql.Seed, code: str) -> int | None:
        nonce, sealed = seed.encrypted[:_NONCE_LENGTH], seed.encrypted[_NONCE_LENGTH:]
        try:
            totp = TOTP(self._cipher.decrypt(nonce, sealed, _bound(user)).decode())
        except InvalidTag:
            return None
        near = [seed.step + by for by in _WINDOW]
        fitting = [step for step in near if hmac.compare_digest(totp.generate_otp(step), code)]
        return fitting[0] if fitting else None

    def _digests(self, user: User, plain: str) -> tuple[bytes, ...]:
        return self._peppers.digests(Secret(f"recovery code {user.account} {user.id} {plain}"))


def _plain(code: str) -> str:
    return code.replace("-", "").replace(" ", "").lower()


def _bound(user: User) -> bytes:
    return user.account.bytes + user.id.bytes


def _recovery_code() -> str:
    """Return 80 random bits in a form that people can write down: ab2c-de3f-gh4i-jk5l."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))
