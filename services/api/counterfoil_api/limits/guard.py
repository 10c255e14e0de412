"""Limits how many malformed, unknown and dead credentials a network may present.

There are three separate counts, so that one caller does not use up the limit of another:

* malformed credentials, by network; they never reach the database.
* unknown credentials, by network. After the first one, each is counted before the database is queried. Beyond the
  limit, secrets that the ledger has seen (see `seen_secrets`) are still looked up as always; of the others, a few.
* dead credentials (expired, revoked, replaced …), by credential and network; other credentials are not affected.
"""

from collections.abc import Awaitable, Callable
from math import ceil
from typing import Final, TypeVar
from uuid import UUID

from counterfoil.core.credentials import BearerGiven, Given, SecretGiven
from counterfoil.core.principal import NIL
from counterfoil.core.refusals import CredentialsRefused, Denied, Forbidden, Refusal, UnknownSecret
from counterfoil.uses.attempts import Attempts
from counterfoil.uses.verify import FINAL, Verifying, find
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials
from counterfoil_api.http.addresses import network_of
from counterfoil_api.http.errors import RateLimited
from counterfoil_api.http.problems import kind_of
from counterfoil_api.limits.credential_digests import digest_of, plain_hash
from counterfoil_api.limits.expiring_map import ExpiringMap
from counterfoil_api.limits.quotas import Quota, Quotas
from counterfoil_api.limits.seen_secrets import SeenSecrets

T = TypeVar("T")

TRICKLE: Final = Quota(6, 60)
"""How many unseen secrets of a network are still looked up after it has presented too many."""
DEAD: Final = Quota(60, 60)
"""How often a dead credential gets its own refusal before it gets RateLimited."""
_MOST: Final = 10_000
_KEPT_SECONDS: Final = 300.0
_TOO_MANY: Final = "Your network sent too many unknown credentials; wait as long as Retry-After says."

Place = tuple[int, str, UUID | None]
"""The hash of credentials, their network, and the one account that they were checked for, if any."""


class Guard:
    """Passes credentials on to a check, and counts the refusals."""

    def __init__(
        self, quotas: Quotas, seen_secrets: SeenSecrets, attempts: Attempts, verifying: Verifying, guesses: Quota | None
    ) -> None:
        self._quotas = quotas
        self._seen_secrets = seen_secrets
        self._attempts = attempts
        self._verifying = verifying
        self._guesses = guesses
        self._suspects: ExpiringMap[str, bool] = ExpiringMap(_MOST)
        self._ended: ExpiringMap[Place, Denied] = ExpiringMap(_MOST)
        self._tokens: ExpiringMap[int, tuple[UUID, UUID]] = ExpiringMap(_MOST)

    async def over(
        self, presented: PresentedCredentials, check: Callable[[], Awaitable[T]], *, account: UUID | None = None
    ) -> T:
        """Return the result of `check`. Its refusals are counted; beyond the limit, RateLimited is raised.

        If the check is for one account alone, a remembered refusal is not repeated for another account.
        """
        given = presented.credentials
        if isinstance(given, PasswordGiven):  # see `logins`
            return await check()
        network = network_of(presented.address)
        place = (plain_hash(given), network, account)
        charge = await self._admit(given, network, place)
        try:
            found = await check()
        except UnknownSecret as refusal:
            raise await self._unknown(refusal, network, charge) from None
        except CredentialsRefused as refusal:
            raise await self._malformed(refusal, network) from None
        except Denied as refusal:
            await self._add(given, charge)
            raise await self._dead(refusal, given, network, place) from None
        except Forbidden as refusal:
            await self._add(given, charge)
            await self._note(refusal, given, network)
            raise
        except BaseException:
            await self._give_back(charge)
            raise
        await self._add(given, charge)
        return found

    def remember_token(self, given: Given, account: UUID, token: UUID) -> None:
        """Remember the token that a JWT of another issuer is exchanged for: no look-up finds it."""
        self._tokens.keep(plain_hash(given), (account, token), _KEPT_SECONDS)

    async def _token_of(self, given: Given) -> tuple[UUID, UUID]:
        """Return the account and the id of the token of these credentials, which never change; (NIL, NIL) for none."""
        if (known := self._tokens.get(plain_hash(given))) is not None:
            return known
        found = await find(self._verifying, given, despite=(Refusal,), used_from=None)
        token = (found.seen.account, found.seen.id) if found else (NIL, NIL)
        self._tokens.keep(plain_hash(given), token, _KEPT_SECONDS)
        return token

    async def _admit(self, given: Given, network: str, place: Place) -> str | None:
        """Admit the credentials, or raise RateLimited; return the key of the charge, which a known secret gets back."""
        if len(self._ended) and (ended := self._ended.get(place)):
            raise _too_often(ended, self._ended.left(place))
        if self._guesses is None or isinstance(given, BearerGiven) or not self._suspects.get(network):
            return None
        if not await self._verifying.secret_formats.may_be(given) or await self._is_seen(given):
            return None
        left = await self._quotas.take(f"unknown:{network}", self._guesses)
        if left.granted:
            return f"unknown:{network}"
        if (await self._quotas.take(f"trickle:{network}", TRICKLE)).granted:
            return None
        self._attempts.note(NIL, "unknown-limited", network=network)
        raise RateLimited(_TOO_MANY, retry_after=left.whole_seconds)

    async def _is_seen(self, given: SecretGiven) -> bool:
        return any([await self._seen_secrets.knows(each) for each in given.readings])

    async def _unknown(self, refusal: Refusal, network: str, charge: str | None) -> Refusal:
        self._attempts.note(NIL, "unknown", network=network)
        if self._guesses is None:
            return refusal
        # From now on every guess of this network is counted before the database is queried.
        self._suspects.keep(network, value=True, seconds=self._guesses.seconds)
        return refusal if charge else await self._within(self._guesses, f"unknown:{network}", refusal)

    async def _malformed(self, refusal: Refusal, network: str) -> Refusal:
        self._attempts.note(NIL, "malformed", network=network)
        return await self._within(self._guesses, f"malformed:{network}", refusal)

    async def _dead(self, refusal: Denied, given: Given, network: str, place: Place) -> Refusal:
        await self._note(refusal, given, network)
        if self._guesses is None:
            return refusal
        left = await self._quotas.take(f"dead:{digest_of(self._verifying.peppers, given).hex()[:32]}:{network}", DEAD)
        if left.granted:
            return refusal
        if isinstance(refusal, FINAL):
            self._ended.keep(place, refusal, left.seconds)
        return _too_often(refusal, left.seconds)

    async def _note(self, refusal: Refusal, given: Given, network: str) -> None:
        account, subject = await self._token_of(given)
        self._attempts.note(account, kind_of(refusal).name, subject, network=network)

    async def _within(self, quota: Quota | None, key: str, refusal: Refusal) -> Refusal:
        if quota is None or (left := await self._quotas.take(key, quota)).granted:
            return refusal
        return RateLimited(_TOO_MANY, retry_after=left.whole_seconds)

    async def _add(self, given: Given, charge: str | None) -> None:
        await self._give_back(charge)
        if isinstance(given, SecretGiven):
            for each in given.readings:
                self._seen_secrets.add(each)

    async def _give_back(self, charge: str | None) -> None:
        if charge is not None:
            await self._quotas.give_back(charge)


def _too_often(refusal: Denied, seconds: float) -> RateLimited:
    return RateLimited(
        f"{refusal.detail} This caller repeated it too often; wait as long as Retry-After says.",
        retry_after=max(ceil(seconds), 1),
    )
