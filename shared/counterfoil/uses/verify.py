"""The law of verification: whether a secret or a bearer is good at this very moment, and of which token it is.

Whatever accepts credentials, judges them, or ends a token by them, asks here. Only the door judges by itself, for an
exchange: it finds the token while it takes its row (see `tokens.buying`).
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from counterfoil.core.bounds import Address, admits
from counterfoil.core.credentials import BearerGiven, Given, SecretGiven
from counterfoil.core.refusals import CredentialsRefused, Denied, NetworkForbidden, TokenNetworkForbidden, UnknownSecret
from counterfoil.core.scopes import meet
from counterfoil.core.secret import Peppers
from counterfoil.core.subjects.token.state import good_until, refusal_for, used_up
from counterfoil.postgres.lookup import Lookup, Seen
from counterfoil.uses.bearers import Act, Claims, chain
from counterfoil.uses.last_used import Uses
from counterfoil.uses.pepper_sync import PepperSync
from counterfoil.uses.redigest import Redigest
from counterfoil.uses.secret_formats import Recognised, SecretFormats
from counterfoil.uses.signing_keys import Keys


@dataclass(frozen=True, slots=True)
class Sources:
    """What credentials are checked with."""

    lookup: Lookup
    recognition: SecretFormats
    again: Redigest
    peppers: Peppers
    pepper_sync: PepperSync
    keys: Keys
    uses: Uses


@dataclass(frozen=True, slots=True, repr=False)
class Found:
    """A token, and what was shown for it: a secret of this generation, or a bearer that it bought, with its `claims`.

    `flaw` is why these credentials are refused at the moment `seen.at`; without one they are good.
    """

    seen: Seen
    generation: int
    claims: Claims | None = None
    secret: Recognised | None = None
    refusal_for: Denied | CredentialsRefused | None = None

    @property
    def scopes(self) -> tuple[str, ...]:
        """What these credentials may do; a bearer nothing that its token has lost since."""
        return self.seen.scopes if self.claims is None else meet(self.seen.scopes, tuple(self.claims.scope.split()))

    @property
    def until(self) -> datetime | None:
        """When they stop being good by themselves; None is never."""
        return good_until(self.seen, self.generation) if self.claims is None else self.claims.expires_at

    @property
    def act(self) -> Act | None:
        """Who acts in the bearer for its subject."""
        return None if self.claims is None else self.claims.act


async def find(sources: Sources, given: Given, *, account: UUID | None = None) -> Found | None:
    """The token that these credentials are good for; its use is noted, whatever becomes of what they came with.

    None is for what is not ours: malformed, unknown, or of another token or `account` than is named, so that nobody
    there learns whether it is dead, and how it died. So is a bearer whose time is over. What is ours and not good
    raises the refusal that says why: a Denied, or CredentialsRefused for a bearer in which a dead token acts.
    """
    found = await look(sources, given, account=account)
    if found is None:
        return None
    if found.refusal_for is not None:
        raise found.refusal_for
    if found.secret is not None and found.seen.pepper_id is not None:
        sources.again.note(found.secret, found.seen.pepper_id)
    note_use(sources, found)
    return found


def note_use(sources: Sources, found: Found) -> None:
    """Count a use of good credentials: whoever shows them has them, also where they may not do what they ask for."""
    sources.uses.note(found.seen, found.generation)


async def believed(sources: Sources, given: Given, *, account: UUID | None = None) -> Found:
    """The same for whoever has to answer with a refusal: UnknownSecret for what is not ours, and might be.

    What could not be anything of ours is refused with CredentialsRefused.
    """
    found = await find(sources, given, account=account)
    if found is not None:
        return found
    raise UnknownSecret if await could_be_secret(sources, given) else CredentialsRefused


async def look(sources: Sources, given: Given, *, account: UUID | None = None) -> Found | None:
    """The token of these credentials, whether or not they are good; None is as in `find`.

    What cannot be a secret (see `recognition`), or was not signed by us, never reaches the database. Raises
    Misconfigured where a secret may be kept under a pepper that this process lacks.
    """
    if isinstance(given, SecretGiven):
        return await _by_secret(sources, given, account)
    try:
        return await _by_bearer(sources, given.text, account)
    except CredentialsRefused:
        return None


async def could_be_secret(sources: Sources, given: Given) -> bool:
    """Say whether a text has the form of a secret; nothing else is ever looked up."""
    if isinstance(given, BearerGiven):
        return False
    return any([await sources.recognition.of(each.plain) is not None for each in given.readings])


def refuse_audience(found: Found, audience: str) -> None:
    """Refuse a bearer that was bought for somebody else's API (RFC 9068 4); a secret is for nobody special."""
    if found.claims is not None and audience not in found.claims.audiences:
        raise CredentialsRefused("This bearer token is for another audience; request one for this service.")


async def refuse_networks(sources: Sources, found: Found, address: Address | None) -> None:
    """Refuse whoever comes from where the token, or one that acts in its bearer, may not be used."""
    _refuse_network(found.seen, address)
    for actor in chain(found.act):
        acting = await sources.lookup.by_id(found.seen.account, actor.client_id)
        if acting is not None:
            _refuse_network(acting, address)


def _refuse_network(seen: Seen, address: Address | None) -> None:
    if not seen.context.policy.admits(address):
        raise NetworkForbidden
    if not admits(seen.bounds.networks, address):
        raise TokenNetworkForbidden


async def _by_secret(sources: Sources, given: SecretGiven, account: UUID | None) -> Found | None:
    """The token of the first reading that opens one; where none does, and one could, a missing pepper is a doubt."""
    recognised = [each for reading in given.readings if (each := await sources.recognition.of(reading.plain))]
    for secret in recognised:
        await sources.pepper_sync.ensure_fresh()
        seen = await sources.lookup.by_digests(sources.peppers.digests(secret))
        named = seen is not None and given.client in (None, seen.id) and account in (None, seen.account)
        if seen is not None and seen.presented is not None and named:
            return Found(seen, seen.presented, secret=secret, refusal_for=_refusal_for(seen, seen.presented))
    if recognised:
        sources.pepper_sync.refuse_if_incomplete()
    return None


async def _by_bearer(sources: Sources, text: str, account: UUID | None) -> Found | None:
    claims = await sources.keys.claims_of(text)
    if account not in (None, claims.account):
        return None
    seen = await sources.lookup.by_id(claims.account, claims.token)
    # The exact instant of expiry is already too late.
    if seen is None or claims.exp <= seen.at.timestamp():
        return None
    await sources.keys.confirm(text, seen.ring)  # as of the very statement that found the token
    wrong = _refusal_for(seen, claims.generation) or await _refusal_for_actors(sources, claims)
    return Found(seen, claims.generation, claims, refusal_for=wrong)


def _refusal_for(seen: Seen, generation: int) -> Denied | None:
    return refusal_for(seen, generation, seen.at, seen.context) or used_up(seen.bounds, seen.context)


async def _refusal_for_actors(sources: Sources, claims: Claims) -> CredentialsRefused | None:
    """A bearer ends with its own time, with its token, and with any token that acts in it."""
    for actor in chain(claims.act):
        acting = await sources.lookup.by_id(claims.account, actor.client_id)
        if acting is None or refusal_for(acting, actor.generation, acting.at, acting.context):
            return CredentialsRefused("A token that acts in this bearer token is no longer valid.")
    return None
