"""Verification: whether a secret or a bearer is accepted now, and to which token it belongs.

All code that accepts or checks credentials, or revokes a token by its secret, calls `find`. The only exception is the
exchange of a secret: the door finds that token when it locks the row (see `token_exchange`).
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
"""Refusals of a secret that are final. An expired or suspended token can be accepted again later."""


@dataclass(frozen=True, slots=True)
class Verifying:
    """The services that verification uses."""

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

    `refusal` says why they are not accepted at `seen.at`. `find` returns it only for the types in `despite`.
    """

    seen: Seen
    generation: int
    claims: Claims | None = None
    secret: Recognised | None = None
    refusal: Denied | CredentialsRefused | None = None

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of these credentials; a bearer has no scope that its token has lost since."""
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
    """Return the token of these credentials and count the use; raise a refusal if they are ours but not accepted.

    None means that they are not ours: malformed, unknown, an expired bearer, or of another token or `account` than
    named. So the answer reveals nothing about other tokens. The refusal is a Denied, or CredentialsRefused for a bearer
    with an acting token that is no longer accepted. Refusals of the types in `despite` are returned in the result and
    not raised. Only accepted credentials count as a use, with the network that they are `used_from`; None is no use.

    Text that cannot be a secret (see `SecretFormats`), and bearers that we did not sign, never reach the database.
    Raises Misconfigured if the secret may be stored under a pepper that this process lacks.
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
    """Do the same as `find`, but raise for credentials that are not ours.

    Raises UnknownSecret for text in the form of a secret, CredentialsRefused for anything else.
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
    """Refuse a client address that is outside the networks of the token, or of a token that acts in its bearer."""
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
    """Count a use. Accepted credentials count as used when they are presented, even if the request fails later."""
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
    """Return the token of the first reading that is a known secret; raise Misconfigured if a pepper is missing."""
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
    await verifying.keys.confirm(text, seen.ring)  # the version of the keys is from the statement that found the token
    refusal = _refusal_for(seen, claims.generation) or await _refusal_for_actors(verifying, claims)
    return Found(seen, claims.generation, claims, refusal=refusal)


def _refusal_for(seen: Seen, generation: int) -> Denied | None:
    return refusal_for(seen, generation, seen.at, seen.context) or used_up(seen.bounds, seen.context)


async def _refusal_for_actors(verifying: Verifying, claims: Claims) -> CredentialsRefused | None:
    """Return the refusal of a bearer if a token that acts in it is no longer accepted."""
    for actor in chain(claims.act):
        acting = await verifying.lookup.by_id(claims.account, actor.client_id)
        if acting is None or refusal_for(acting, actor.generation, acting.at, acting.context):
            return CredentialsRefused("A token that acts in this bearer token is no longer valid.")
    return None
