"""What is known of credentials besides whether they are good: a keyed digest, and the token they belong to."""

from typing import Final
from uuid import UUID

from counterfoil.core.credentials import BearerGiven, Given, SecretGiven
from counterfoil.core.principal import NIL
from counterfoil.core.refusals import Refusal
from counterfoil.core.secret import Peppers
from counterfoil.uses.verify import Verifying, find
from counterfoil_api.limits.expiring_map import ExpiringMap

_MOST: Final = 10_000
_KEPT_SECONDS: Final = 300.0


def plain_hash(given: Given) -> int:
    """Return the name of credentials within this process: Python's own hash, which is keyed per process."""
    return hash(_text(given))


def digest_of(peppers: Peppers, given: Given) -> bytes:
    """Return a keyed digest that stays the same whichever pepper signs; the database never holds it."""
    return peppers.hmac(b"credentials", _text(given).encode())


def _text(given: Given) -> str:
    """Return one text for each credential; all form encodings of one client's secret have the same text."""
    if isinstance(given, BearerGiven):
        return given.text
    return given.plain if given.raw is None else f"{given.client} {given.plain}"


class Known:
    """Knows which token refused credentials belong to."""

    def __init__(self, verifying: Verifying) -> None:
        self._verifying = verifying
        self._whose: ExpiringMap[int, tuple[UUID, UUID]] = ExpiringMap(_MOST)

    async def recognises(self, given: SecretGiven) -> bool:
        """Say whether a text has the form of a secret; no other text is looked up."""
        return await self._verifying.secret_formats.may_be(given)

    def digest(self, given: Given) -> bytes:
        """Return the name of credentials among all processes; it is useless without the pepper."""
        return digest_of(self._verifying.peppers, given)

    def belongs(self, given: Given, account: UUID, token: UUID) -> None:
        """Remember which token a JWT of another issuer belongs to; no look-up says so."""
        self._whose.keep(plain_hash(given), (account, token), _KEPT_SECONDS)

    async def whose(self, given: Given) -> tuple[UUID, UUID]:
        """Return the account and the token that they belong to, which never change; (NIL, NIL) for none."""
        key = plain_hash(given)
        if (found := self._whose.get(key)) is None:
            token = await find(self._verifying, given, despite=(Refusal,), used_from=None)
            found = (token.seen.account, token.seen.id) if token else (NIL, NIL)
            self._whose.keep(key, found, _KEPT_SECONDS)
        return found
