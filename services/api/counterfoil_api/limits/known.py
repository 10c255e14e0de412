"""What may be said of credentials beside whether they are good: a keyed digest of them, and whose they are."""

from typing import Final
from uuid import UUID

from counterfoil.postgres.lookup import Lookup
from counterfoil.principal import NIL
from counterfoil.secret import Peppers
from counterfoil_api.auth.credentials import BearerGiven, SecretGiven
from counterfoil_api.auth.recognition import Recognised, Recognition
from counterfoil_api.auth.signing_keys import Keys
from counterfoil_api.edge.complaints import CredentialsRefused
from counterfoil_api.limits.fading import Fading

_MOST: Final = 10_000
_KEPT_SECONDS: Final = 300.0

Given = SecretGiven | BearerGiven


def plain_hash(given: Given) -> int:
    """What this process knows credentials by: Python's own hash, which is keyed with a secret of the process."""
    return hash(given.plain if isinstance(given, SecretGiven) else given.text)


def digest_of(peppers: Peppers, given: Given) -> bytes:
    """A keyed digest that stays the same whichever pepper signs: none that is kept, and so none that is re-keyed."""
    return peppers.hmac(b"credentials", (given.plain if isinstance(given, SecretGiven) else given.text).encode())


class Known:
    """Tells of credentials that were refused."""

    def __init__(self, peppers: Peppers, lookup: Lookup, keys: Keys, recognition: Recognition) -> None:
        self._peppers = peppers
        self._recognition = recognition
        self._lookup = lookup
        self._keys = keys
        self._whose: Fading[int, tuple[UUID, UUID]] = Fading(_MOST)

    async def recognised(self, given: SecretGiven) -> Recognised | None:
        """The secret that a text may be; nothing else is ever looked up."""
        return await self._recognition.of(given.plain)

    def digest(self, given: Given) -> bytes:
        """What all processes may know them by; without the pepper it leads nowhere."""
        return digest_of(self._peppers, given)

    async def whose(self, given: Given) -> tuple[UUID, UUID]:
        """The account and the token that they belong to, which never changes; (NIL, NIL) if to none."""
        key = plain_hash(given)
        if (found := self._whose.get(key)) is None:
            found = await self._found(given)
            self._whose.keep(key, found, _KEPT_SECONDS)
        return found

    async def _found(self, given: Given) -> tuple[UUID, UUID]:
        if isinstance(given, BearerGiven):
            try:
                claims = (await self._keys.ring()).claims_of(given.text)
            except CredentialsRefused:
                return NIL, NIL
            return claims.account, claims.token
        secret = await self.recognised(given)
        seen = await self._lookup.by_digests(self._peppers.digests(secret)) if secret else None
        return (seen.account, seen.id) if seen else (NIL, NIL)
