"""Buying a bearer: with a token's secret, a bearer or a trusted JWT, for oneself or on behalf of somebody."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from msgspec import structs
from uuid_utils.compat import uuid7

from counterfoil.core.bounds import Address
from counterfoil.core.credentials import BearerGiven, SecretGiven
from counterfoil.core.events import Exchanged
from counterfoil.core.principal import Actor, Principal
from counterfoil.core.refusals import Busy, CredentialsRefused, Denied, Refusal, Unavailable, Uncounted, UnknownSecret
from counterfoil.core.subjects.token.commands import Exchange, ExchangeSecret, Held
from counterfoil.core.trust import Assertion, matched
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres.lookup import Trusting
from counterfoil.settings import Settings
from counterfoil.uses.bearers import Act, Claims, chain
from counterfoil.uses.verify import Sources, find, refuse_networks, verified
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.errors import ExchangeRefused
from counterfoil_api.limits.limits import Limits

MOST_ACTORS: Final = 8
_COUNTINGS: Final = 4
"""So often an exchange is tried while somebody changes its token's limits."""


@dataclass(frozen=True, slots=True)
class Exchanging:
    """What an exchange needs: verification, the door, the limits of tokens, and how long a bearer lives."""

    sources: Sources
    writing: Writing
    limits: Limits
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerRequest:
    """What a bearer is to be, at most; without `scopes` it holds all there are, without an audience it is for us."""

    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    lifetime_seconds: int | None = None
    actor: Principal | None = None
    address: Address | None = None


@dataclass(frozen=True, slots=True, repr=False)
class IssuedBearer:
    """A signed bearer and what it says."""

    text: str
    claims: Claims


async def with_secret(exchanging: Exchanging, given: SecretGiven, wanted: BearerRequest) -> IssuedBearer:
    """Buy with a secret. The door finds the token while it takes its row: no look-up that could be outdated.

    Of two readings the first that is known is the secret. If none is, the refusal is UnknownSecret as soon as one of
    them could have been a secret.
    """
    refusals: list[Refusal] = []
    for reading in given.readings:
        try:
            return await _with_reading(exchanging, reading, wanted)
        except (UnknownSecret, CredentialsRefused) as refusal:
            refusals.append(refusal)
    if unknown := next((each for each in refusals if isinstance(each, UnknownSecret)), None):
        exchanging.sources.pepper_sync.refuse_if_incomplete()
        raise unknown
    raise refusals[-1]


async def _with_reading(exchanging: Exchanging, given: SecretGiven, wanted: BearerRequest) -> IssuedBearer:
    secret = await exchanging.sources.recognition.of(given.plain)
    if secret is None:
        raise CredentialsRefused
    await exchanging.sources.pepper_sync.ensure_fresh()
    ring = await exchanging.sources.keys.ring()
    command = ExchangeSecret(
        digests=exchanging.sources.peppers.digests(secret),
        client=given.client,
        jti=uuid7(),
        lifetime_seconds=_lifetime(exchanging, wanted),
        audience=wanted.audience,
        scopes=wanted.scopes,
        actor=wanted.actor,
        address=wanted.address,
    )
    await exchanging.limits.allowance.spend_by_secret(command.digests[0])
    try:
        outcome = await _counted(exchanging, command)
    except (Denied, Unavailable):
        raise
    except Refusal:  # the door believed the secret, and could not give what was asked for
        await _note_use(exchanging, given, wanted)
        raise
    exchanging.sources.again.note(secret)
    claims = _claims(exchanging.settings.public_url, outcome, _act(wanted.actor, None))
    return IssuedBearer(ring.sign(claims), claims)


async def with_bearer(exchanging: Exchanging, given: BearerGiven, wanted: BearerRequest) -> IssuedBearer:
    """Buy with a bearer, which has to be as good as for anything else: it, its token, and whoever acts in it."""
    found = await verified(exchanging.sources, given, account=wanted.actor.account if wanted.actor else None)
    held, seen = found.claims, found.seen
    if held is None:
        raise TypeError("a bearer makes claims")
    itself = Principal(
        actor=Actor("token", seen.id), account=seen.account, scopes=(), generation=held.generation, bounds=seen.bounds,
        quota=seen.context.quota,
    )  # fmt: skip
    await refuse_networks(exchanging.sources, found, wanted.address)
    acting = wanted.actor or await _acting(exchanging, held)
    act = _act(wanted.actor, held.act)
    actors = tuple(each.client_id for each in chain(act))
    if len(actors) > MOST_ACTORS:
        raise ExchangeRefused(f"At most {MOST_ACTORS} tokens can act in one bearer token.")
    ring = await exchanging.sources.keys.ring()
    command = Exchange(
        account=seen.account,
        token_id=seen.id,
        by=acting or itself,
        generation=held.generation,
        jti=uuid7(),
        lifetime_seconds=_lifetime(exchanging, wanted),
        audience=wanted.audience,
        scopes=wanted.scopes,
        held=Held(tuple(held.scope.split()), held.audiences, held.expires_at),
        actors=actors,
        address=wanted.address,
        counted=seen.context.limits(seen.bounds),
    )
    await exchanging.limits.allowance.spend(itself, wanted.address)
    claims = _claims(exchanging.settings.public_url, await _counted(exchanging, command), act)
    return IssuedBearer(ring.sign(claims), claims)


async def with_assertion(
    exchanging: Exchanging, token: Trusting, claims: Mapping[str, object], wanted: BearerRequest
) -> IssuedBearer:
    """Buy with the verified claims of a JWT. The door asks again whether they fit the trust that the token has then."""
    trust = token.trust
    matched(trust, claims, token.at)  # what does not fit costs the token nothing
    itself = Principal(actor=Actor("token", token.id), account=token.account, scopes=())
    ring = await exchanging.sources.keys.ring()
    command = Exchange(
        account=token.account,
        token_id=token.id,
        by=itself,
        generation=0,
        assertion=Assertion(issuer=trust.issuer, audience=trust.audience, claims=dict(claims)),
        jti=uuid7(),
        lifetime_seconds=_lifetime(exchanging, wanted),
        audience=wanted.audience,
        scopes=wanted.scopes,
        address=wanted.address,
    )  # the door says which limits of the token count: of a JWT that is not believed none
    await exchanging.limits.allowance.spend(itself, wanted.address)
    bought = _claims(exchanging.settings.public_url, await _counted(exchanging, command), None)
    return IssuedBearer(ring.sign(bought), bought)


async def _note_use(exchanging: Exchanging, given: SecretGiven, wanted: BearerRequest) -> None:
    """Note the use of a secret that an exchange was refused for; one that has ended since was not used."""
    with suppress(Denied):
        await find(exchanging.sources, given, account=wanted.actor.account if wanted.actor else None)


async def _counted(exchanging: Exchanging, command: Exchange | ExchangeSecret) -> Outcome:
    """Carry out an exchange, counted against the limits that its token has by then.

    Only the door knows for certain which token that is and which limits it has; most have none, and nothing is asked.
    """
    for _ in range(_COUNTINGS):
        try:
            return await exchanging.writing.door.execute(command)
        except Uncounted as refusal:
            left = refusal.limits.beyond(command.counted)
            await exchanging.limits.allowance.spend_by_token(refusal.account, refusal.token, left, command.address)
            command = structs.replace(command, counted=refusal.limits)
    raise Busy


def _lifetime(exchanging: Exchanging, wanted: BearerRequest) -> int:
    longest = exchanging.settings.bearer_lifetime_seconds
    return longest if wanted.lifetime_seconds is None else min(wanted.lifetime_seconds, longest)


async def _acting(exchanging: Exchanging, held: Claims) -> Principal | None:
    """Who acts in a bearer already, within the bounds that the door will ask about again."""
    if held.act is None:
        return None
    seen = await exchanging.sources.lookup.by_id(held.account, held.act.client_id)
    if seen is None:
        raise CredentialsRefused
    actor = Actor("token", seen.id)
    return Principal(actor=actor, account=held.account, scopes=(), generation=held.act.generation, bounds=seen.bounds)


def _act(actor: Principal | None, before: Act | None) -> Act | None:
    if actor is None:
        return before
    if actor.owner is None or actor.generation is None:
        raise TypeError("only a token acts on behalf of another")
    return Act(actor.owner.id, actor.actor.id, actor.generation, before)


def _claims(issuer: str, outcome: Outcome, act: Act | None) -> Claims:
    token, event = outcome.token, outcome.facts[0].event
    if not isinstance(event, Exchanged):
        raise TypeError("an exchange ends in `exchanged`")
    audience = event.audience or (issuer,)
    return Claims(
        iss=issuer,
        sub=token.owner.id,
        client_id=str(token.id),
        aud=audience[0] if len(audience) == 1 else audience,
        iat=int(outcome.at.timestamp()),
        # Rounded down: a bearer never outlives its token by the rest of a second.
        exp=int(event.expires_at.timestamp()),
        jti=str(event.jti),
        scope=" ".join(event.scopes),
        account=token.account,
        token=token.id,
        generation=event.generation,
        act=act,
    )
