"""Verification: whether a secret or a bearer is good at this very moment, and which token it belongs to.

Everything that accepts credentials, judges them, or ends a token by them calls `find`. The one exception is the
exchange of a secret: the door finds the token while it locks its row (see `token_exchange`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from counterfoil.core.bounds import Address, admits
from counterfoil.core.credentials import Given, SecretGiven
from counterfoil.core.refusals import (
    CredentialsRefused,
    Denied,
    NetworkForbidden,
    Refusal,
    SecretEnded,
    SecretRetired,
    TokenNetworkForbidden,
    TokenRevoked,
    UnknownSecret,
)
from counterfoil.core.scopes import meet
from counterfoil.core.secret import Peppers
from counterfoil.core.subjects.token.acceptance import good_until, refusal_for, used_up
from counterfoil.postgres.lookup import Lookup, Seen
from counterfoil.uses.bearers import Act, Claims, chain
from counterfoil.uses.last_used import RotationUses, Uses
from counterfoil.uses.pepper_sync import PepperSync
from counterfoil.uses.redigest import Redigest
from counterfoil.uses.secret_formats import Recognised, SecretFormats
from counterfoil.uses.signing_keys import Keys

FINAL: Final = (TokenRevoked, SecretRetired, SecretEnded)
"""Refusals of a secret that nothing undoes; an expired or suspended token can become good again."""


@dataclass(frozen=True, slots=True)
class Verifying:
    """What verification works with."""

    lookup: Lookup
    secret_formats: SecretFormats
    redigest: Redigest
    peppers: Peppers
    pepper_sync: PepperSync
    keys: Keys
    uses: Uses
    rotation_uses: RotationUses


@dataclass(frozen=True, slots=True, repr=False)
class Found:
    """A token, and the credentials presented for it: a secret of this generation, or a bearer with these `claims`.

    `refusal` says why they are not good at the moment `seen.at`. Only a caller that names it to `find` ever sees one.
    """

    seen: Seen
    generation: int
    claims: Claims | None = None
    secret: Recognised | None = None
    refusal: Denied | CredentialsRefused | None = None

    @property
    def scopes(self) -> tuple[str, ...]:
        """What these credentials may do; for a bearer, no scope that its token has lost since."""
        return self.seen.scopes if self.claims is None else meet(self.seen.scopes, tuple(self.claims.scope.split()))

    @property
    def until(self) -> datetime | None:
        """When they expire; None is never."""
        return good_until(self.seen, self.generation) if self.claims is None else self.claims.expires_at

    @property
    def act(self) -> Act | None:
        """The token that acts in the bearer on behalf of its subject."""
        return None if self.claims is None else self.claims.act


async def find(
    verifying: Verifying,
    given: Given,
    *,
    account: UUID | None = None,
    despite: tuple[type[Refusal], ...] = (),
    used_from: str | None,
) -> Found | None:
    """Return the token of these credentials, and note their use; raise the refusal if they are ours but not good.

    None means not ours: malformed, unknown, an expired bearer, or of another token or `account` than named, so that
    the answer tells nothing about other tokens. The refusal is a Denied, or CredentialsRefused for a bearer in which
    a token acts that is no longer good. Refusals of the types `despite` are not raised but returned in the result.
    Credentials that are not good are never noted. Good ones are, with the network that they are `used_from`; None is no
    use.

    Text that cannot be a secret (see `SecretFormats`) or that we did not sign never reaches the database. Raises
    Misconfigured if a secret may be kept under a pepper that this process lacks.
    """
    found = await _found(verifying, given, account)
    if found is None:
        return None
    if found.refusal is not None:
        if isinstance(found.refusal, despite):
            return found
        raise found.refusal
    if used_from is not None:
        _note_use(verifying, found, network=used_from)
    return found


async def verified(verifying: Verifying, given: Given, *, account: UUID | None = None, used_from: str) -> Found:
    """Do the same, but refuse what is not ours: as UnknownSecret if it has the form of a secret.

    Anything else is refused with CredentialsRefused.
    """
    found = await find(verifying, given, account=account, used_from=used_from)
    if found is not None:
        return found
    raise UnknownSecret if await verifying.secret_formats.may_be(given) else CredentialsRefused


def refuse_audience(found: Found, audience: str) -> None:
    """Refuse a bearer that was issued for another API (RFC 9068 4); a secret has no audience."""
    if found.claims is not None and audience not in found.claims.audiences:
        raise CredentialsRefused("This bearer token is for another audience; request one for this service.")


async def refuse_networks(verifying: Verifying, found: Found, address: Address | None) -> None:
    """Refuse a caller's address from which the token, or one that acts in its bearer, may not be used."""
    _refuse_network(found.seen, address)
    for actor in chain(found.act):
        acting = await verifying.lookup.by_id(found.seen.account, actor.client_id)
        if acting is not None:
            _refuse_network(acting, address)


def _refuse_network(seen: Seen, address: Address | None) -> None:
    if not seen.context.policy.admits(address):
        raise NetworkForbidden
    if not admits(seen.bounds.networks, address):
        raise TokenNetworkForbidden


def _note_use(verifying: Verifying, found: Found, *, network: str) -> None:
    """Note a use: good credentials count as used when they are presented, whether or not the request succeeds."""
    if found.secret is not None and found.seen.pepper_id is not None:
        verifying.redigest.note(found.secret, found.seen.pepper_id)
    verifying.uses.note(found.seen, found.generation)
    verifying.rotation_uses.note(found.seen, found.generation, at=found.seen.at, network=network)


async def _found(verifying: Verifying, given: Given, account: UUID | None) -> Found | None:
    if isinstance(given, SecretGiven):
        return await _by_secret(verifying, given, account)
    try:
        return await _by_bearer(verifying, given.text, account)
    except CredentialsRefused:
        return None


async def _by_secret(verifying: Verifying, given: SecretGiven, account: UUID | None) -> Found | None:
    """Return the token of the first reading that belongs to one; without one, a missing pepper leaves a doubt."""
    recognised = [each for reading in given.readings if (each := await verifying.secret_formats.of(reading.plain))]
    for secret in recognised:
        await verifying.pepper_sync.ensure_fresh()
        seen = await verifying.lookup.by_digests(verifying.peppers.digests(secret))
        named = seen is not None and given.client in (None, seen.id) and account in (None, seen.account)
        if seen is not None and seen.presented is not None and named:
            return Found(seen, seen.presented, secret=secret, refusal=_refusal_for(seen, seen.presented))
    if recognised:
        verifying.pepper_sync.refuse_if_incomplete()
    return None


async def _by_bearer(verifying: Verifying, text: str, account: UUID | None) -> Found | None:
    claims = await verifying.keys.claims_of(text)
    if account not in (None, claims.account):
        return None
    seen = await verifying.lookup.by_id(claims.account, claims.token)
    # The exact instant of expiry is already too late.
    if seen is None or claims.exp <= seen.at.timestamp():
        return None
    await verifying.keys.confirm(text, seen.ring)  # as of the very statement that found the token
    refusal = _refusal_for(seen, claims.generation) or await _refusal_for_actors(verifying, claims)
    return Found(seen, claims.generation, claims, refusal=refusal)


def _refusal_for(seen: Seen, generation: int) -> Denied | None:
    return refusal_for(seen, generation, seen.at, seen.context) or used_up(seen.bounds, seen.context)


async def _refusal_for_actors(verifying: Verifying, claims: Claims) -> CredentialsRefused | None:
    """A bearer ends at its own expiry, with its token, and with any token that acts in it."""
    for actor in chain(claims.act):
        acting = await verifying.lookup.by_id(claims.account, actor.client_id)
        if acting is None or refusal_for(acting, actor.generation, acting.at, acting.context):
            return CredentialsRefused("A token that acts in this bearer token is no longer valid.")
    return None
