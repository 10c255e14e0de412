"""What may be said of credentials beside whether they are good: a keyed digest of them, and whose they are."""

from typing import Final
from uuid import UUID

from counterfoil.core.credentials import BearerGiven, Given, SecretGiven
from counterfoil.core.principal import NIL
from counterfoil.core.secret import Peppers
from counterfoil.uses.verify import Sources, could_be_secret, look
from counterfoil_api.limits.expiring_map import ExpiringMap

_MOST: Final = 10_000
_KEPT_SECONDS: Final = 300.0


def plain_hash(given: Given) -> int:
    """What this process knows credentials by: Python's own hash, which is keyed with a secret of the process."""
    return hash(_text(given))


def digest_of(peppers: Peppers, given: Given) -> bytes:
    """A keyed digest that stays the same whichever pepper signs: none that is kept, and so none that is re-keyed."""
    return peppers.hmac(b"credentials", _text(given).encode())


def _text(given: Given) -> str:
    """One text for each of them. However a secret was form-encoded, it is that of the decoded text for this client."""
    if isinstance(given, BearerGiven):
        return given.text
    return given.plain if given.raw is None else f"{given.client} {given.plain}"


class Known:
    """Tells of credentials that were refused."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._whose: ExpiringMap[int, tuple[UUID, UUID]] = ExpiringMap(_MOST)

    async def recognises(self, given: SecretGiven) -> bool:
        """Say whether a text may be a secret; nothing else is ever looked up."""
        return await could_be_secret(self._sources, given)

    def digest(self, given: Given) -> bytes:
        """What all processes may know them by; without the pepper it leads nowhere."""
        return digest_of(self._sources.peppers, given)

    def belongs(self, given: Given, account: UUID, token: UUID) -> None:
        """Remember whose a JWT of another issuer is, which no look-up tells."""
        self._whose.keep(plain_hash(given), (account, token), _KEPT_SECONDS)

    async def whose(self, given: Given) -> tuple[UUID, UUID]:
        """The account and the token that they belong to, which never changes; (NIL, NIL) if to none."""
        key = plain_hash(given)
        if (found := self._whose.get(key)) is None:
            shown = await look(self._sources, given)
            found = (shown.seen.account, shown.seen.id) if shown else (NIL, NIL)
            self._whose.keep(key, found, _KEPT_SECONDS)
        return found
