"""Authenticates callers: verifies their credentials at this moment, without a cache, and counts them against limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from counterfoil.core.credentials import BearerGiven, Given, SecretGiven
from counterfoil.core.emails import canonical
from counterfoil.core.principal import Actor, Principal
from counterfoil.core.refusals import CredentialsRefused, Denied, Refusal, UnknownSecret
from counterfoil.core.subjects.token.acceptance import good_until
from counterfoil.core.subjects.token.state import stands_for_its_owner
from counterfoil.postgres.connection import Pool
from counterfoil.postgres.lookup import Seen
from counterfoil.postgres.users import one_user
from counterfoil.uses.bearers import chain, header_of
from counterfoil.uses.verify import Found, Verifying, find, refuse_audience, refuse_networks, verified
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials
from counterfoil_api.auth.passwords import Passwords
from counterfoil_api.auth.token_headers import add_expiry_headers
from counterfoil_api.http.addresses import Address, network_of
from counterfoil_api.http.problems import kind_of
from counterfoil_api.limits.limits import Limits


@dataclass(frozen=True, slots=True)
class Callers:
    """Authenticates callers. A bearer must be for an audience under `url`, the public address of the service."""

    verifying: Verifying
    passwords: Passwords
    limits: Limits
    readers: Pool
    url: str

    async def authenticate(self, presented: PresentedCredentials) -> Principal:
        """Return the principal who presents these credentials from this address, or raise the refusal."""
        caller = await self.limits.guard.over(presented, lambda: self._principal(presented))
        await self.verifying.pepper_sync.ensure_fresh()  # the caller may issue; malformed credentials cost no query
        await self.limits.allowance.spend(caller, presented.address)
        return caller

    async def judge(self, presented: PresentedCredentials) -> None:
        """Raise the refusal of a token's credentials if they are not good; otherwise note their use.

        This is for a request that is refused anyway: the refusal of its credentials takes precedence.
        """
        given = presented.credentials
        if not isinstance(given, PasswordGiven):
            await self.limits.guard.over(
                presented, lambda: verified(self.verifying, given, used_from=network_of(presented.address))
            )

    @asynccontextmanager
    async def judging(self, presented: PresentedCredentials | None) -> AsyncIterator[None]:
        """If this block raises a refusal, judge these credentials first, if there are any."""
        try:
            yield
        except Refusal:
            if presented is not None:
                await self.judge(presented)
            raise

    async def introspect(self, given: Given, account: UUID, address: Address | None) -> Found | None:
        """Return the token of these credentials and count a use, if they are good in this account and within limits.

        Return None in every other case, without the reason. The use counts for the token that is introspected, from the
        address of the service that introspects it.
        """
        try:
            if found := await find(self.verifying, given, account=account, used_from=network_of(address)):
                seen = found.seen
                await self.limits.allowance.use(seen.account, seen.id, seen.context.limits(seen.bounds))
        except (Denied, CredentialsRefused):
            return None
        return found

    def note_forbidden(self, presented: PresentedCredentials, caller: object, refusal: Refusal) -> None:
        """Record that a caller requested what they may not do."""
        if isinstance(caller, Principal):
            network = network_of(presented.address)
            self.limits.attempts.note(caller.account, kind_of(refusal).name, caller.actor.id, network=network)

    async def _principal(self, presented: PresentedCredentials) -> Principal:
        match presented.credentials:
            case SecretGiven() | BearerGiven() as given:
                return await self._by_token(given, presented)
            case PasswordGiven() as given:
                await self.verifying.pepper_sync.ensure_fresh()  # recovery codes are digested as secrets are
                return await self.passwords.principal(given, presented)

    async def _by_token(self, given: SecretGiven | BearerGiven, presented: PresentedCredentials) -> Principal:
        found = await verified(self.verifying, given, used_from=network_of(presented.address))
        seen = found.seen
        if presented.email is not None:
            await self._refuse_another(seen, presented.email)
        await refuse_networks(self.verifying, found, presented.address)
        refuse_audience(found, f"{self.url}{presented.audience}")
        add_expiry_headers(found)
        return Principal(
            actor=Actor("token", seen.id),
            account=seen.account,
            scopes=found.scopes,
            owner=seen.owner,
            generation=found.generation,
            expires_at=_end(found, presented),
            bounds=seen.bounds,
            quota=seen.context.quota,
            delegated=found.act is not None,
            acting=tuple((actor.client_id, actor.generation) for actor in chain(found.act)),
            signed_with=header_of(given.text) if isinstance(given, BearerGiven) else "",
        )

    async def _refuse_another(self, seen: Seen, email: str) -> None:
        """Raise UnknownSecret if the e-mail address beside a secret is not that of the token's owner."""
        user = seen.owner.user
        owner = None if user is None else await one_user(self.readers, seen.account, user)
        if owner is None or owner.name is None or canonical(owner.name) != canonical(email):
            raise UnknownSecret


def _end(found: Found, presented: PresentedCredentials) -> datetime | None:
    """Return when the credentials expire; if the caller's changes may outlive them, return when their token expires."""
    for_audience = presented.audience and found.act is None
    if not presented.as_owner or (found.claims is not None and not for_audience):
        return found.until
    return None if stands_for_its_owner(found.seen.dialect) else good_until(found.seen, found.generation)
