"""Token exchange: issue a bearer for a token's secret, for a bearer or for a trusted JWT, perhaps with an actor."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from msgspec import structs
from uuid_utils.compat import uuid7

from counterfoil.core.bounds import Address, Uncounted
from counterfoil.core.credentials import BearerGiven, SecretGiven
from counterfoil.core.principal import Actor, Principal
from counterfoil.core.refusals import Busy, CredentialsRefused, Denied, Refusal, Unavailable, UnknownSecret
from counterfoil.core.subjects.token.commands import Exchange, ExchangeSecret, Held
from counterfoil.core.subjects.token.events import Exchanged
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.trust import Assertion, matched
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres.lookup import Trusting
from counterfoil.settings import Settings
from counterfoil.uses.bearers import Act, Claims, KeyRing, chain
from counterfoil.uses.verify import Verifying, find, refuse_networks, verified
from counterfoil_api.auth.token_headers import add_expiry_headers_of
from counterfoil_api.handling.writing import Writing
from counterfoil_api.http.addresses import network_of
from counterfoil_api.http.errors import ExchangeRefused
from counterfoil_api.limits.limits import Limits

MOST_ACTORS: Final = 8
_COUNTINGS: Final = 4
"""An exchange is tried this often while its token's limits keep changing."""


@dataclass(frozen=True, slots=True)
class Exchanging:
    """What an exchange needs: verification, the door, the limits of tokens, and how long a bearer lives."""

    verifying: Verifying
    writing: Writing
    limits: Limits
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerRequest:
    """The bearer that a caller wants; without `scopes` it holds all, without an audience it is for this service."""

    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    lifetime_seconds: int | None = None
    actor: Principal | None = None
    address: Address | None = None


@dataclass(frozen=True, slots=True, repr=False)
class IssuedBearer:
    """A signed bearer and its claims."""

    text: str
    claims: Claims


async def with_secret(exchanging: Exchanging, given: SecretGiven, request: BearerRequest) -> IssuedBearer:
    """Issue a bearer for a secret. The door finds the token while it locks its row, so no look-up can be outdated.

    A secret with two readings is tried in their order. If no token has either, the refusal is UnknownSecret as soon as
    one of them has the form of a secret.
    """
    refusals: list[Refusal] = []
    for reading in given.readings:
        try:
            return await _with_reading(exchanging, reading, request)
        except (UnknownSecret, CredentialsRefused) as refusal:
            refusals.append(refusal)
    if unknown := next((each for each in refusals if isinstance(each, UnknownSecret)), None):
        exchanging.verifying.pepper_sync.refuse_if_incomplete()
        raise unknown
    raise refusals[-1]


async def _with_reading(exchanging: Exchanging, given: SecretGiven, request: BearerRequest) -> IssuedBearer:
    verifying = exchanging.verifying
    secret = await verifying.secret_formats.of(given.plain)
    if secret is None:
        raise CredentialsRefused
    await verifying.pepper_sync.ensure_fresh()
    ring = await verifying.keys.ring()
    command = ExchangeSecret(
        digests=verifying.peppers.digests(secret),
        client=given.client,
        jti=uuid7(),
        lifetime_seconds=_lifetime(exchanging, request),
        audience=request.audience,
        scopes=request.scopes,
        actor=request.actor,
        address=request.address,
    )
    await exchanging.limits.allowance.spend_by_secret(command.digests[0])
    try:
        outcome = await _execute(exchanging, command)
    except (Denied, Unavailable):
        raise
    except Refusal:  # the secret is good, but the request is not
        await _note_use(verifying, given, request)
        raise
    verifying.redigest.note(secret)
    _note_exchange(verifying, outcome, request)
    return _signed(exchanging, ring, outcome, _act(request.actor, None))


async def with_bearer(exchanging: Exchanging, given: BearerGiven, request: BearerRequest) -> IssuedBearer:
    """Issue a bearer for a bearer; it, its token, and the tokens that act in it must all be good."""
    found = await verified(
        exchanging.verifying,
        given,
        account=request.actor.account if request.actor else None,
        used_from=network_of(request.address),
    )
    claims, seen = found.claims, found.seen
    if claims is None:
        raise TypeError("a bearer makes claims")
    itself = Principal(
        actor=Actor("token", seen.id), account=seen.account, scopes=(), generation=claims.generation,
        bounds=seen.bounds, quota=seen.context.quota,
    )  # fmt: skip
    await refuse_networks(exchanging.verifying, found, request.address)
    acting = request.actor or await _acting(exchanging, claims)
    act = _act(request.actor, claims.act)
    actors = tuple(each.client_id for each in chain(act))
    if len(actors) > MOST_ACTORS:
        raise ExchangeRefused(f"At most {MOST_ACTORS} tokens can act in one bearer token.")
    ring = await exchanging.verifying.keys.ring()
    command = Exchange(
        account=seen.account,
        id=seen.id,
        by=acting or itself,
        generation=claims.generation,
        jti=uuid7(),
        lifetime_seconds=_lifetime(exchanging, request),
        audience=request.audience,
        scopes=request.scopes,
        held=Held(tuple(claims.scope.split()), claims.audiences, claims.expires_at),
        actors=actors,
        address=request.address,
        counted=seen.context.limits(seen.bounds),
    )
    await exchanging.limits.allowance.spend(itself, request.address)
    return _signed(exchanging, ring, await _execute(exchanging, command), act)


async def with_assertion(
    exchanging: Exchanging, token: Trusting, claims: Mapping[str, object], request: BearerRequest
) -> IssuedBearer:
    """Issue a bearer for the verified claims of a JWT. The door compares them again with the token's current trust."""
    trust = token.trust
    matched(trust, claims, token.at)  # claims that do not match cost the token nothing
    itself = Principal(actor=Actor("token", token.id), account=token.account, scopes=())
    ring = await exchanging.verifying.keys.ring()
    command = Exchange(
        account=token.account,
        id=token.id,
        by=itself,
        generation=0,
        assertion=Assertion(issuer=trust.issuer, audience=trust.audience, claims=dict(claims)),
        jti=uuid7(),
        lifetime_seconds=_lifetime(exchanging, request),
        audience=request.audience,
        scopes=request.scopes,
        address=request.address,
    )  # the door says which limits of the token count; a refused JWT counts against none
    await exchanging.limits.allowance.spend(itself, request.address)
    return _signed(exchanging, ring, await _execute(exchanging, command), None)


async def _note_use(verifying: Verifying, given: SecretGiven, request: BearerRequest) -> None:
    """Note the use of a secret whose exchange was refused; a secret that has ended since was not used."""
    account = request.actor.account if request.actor else None
    with suppress(Denied):
        await find(verifying, given, account=account, used_from=network_of(request.address))


def _note_exchange(verifying: Verifying, outcome: Outcome, request: BearerRequest) -> None:
    """Note which secret was exchanged during a rotation's grace; the event itself says when it was exchanged."""
    event = outcome.facts[0].event
    if isinstance(event, Exchanged):
        verifying.rotation_uses.note(
            outcome.of(Token), event.generation, at=outcome.at, network=network_of(request.address)
        )


async def _execute(exchanging: Exchanging, command: Exchange | ExchangeSecret) -> Outcome:
    """Execute an exchange.

    Only the door knows for certain which token that is and which limits it has. It raises Uncounted if the token has
    limits that the exchange was not counted against; most tokens have none.
    """
    for _ in range(_COUNTINGS):
        try:
            return await exchanging.writing.door.execute(command)
        except Uncounted as refusal:
            left = refusal.limits.beyond(command.counted)
            await exchanging.limits.allowance.spend_by_token(refusal.account, refusal.token, left, command.address)
            command = structs.replace(command, counted=refusal.limits)
    raise Busy


def _signed(exchanging: Exchanging, ring: KeyRing, outcome: Outcome, act: Act | None) -> IssuedBearer:
    claims = _claims(exchanging.settings.public_url, outcome, act)
    if act is None:
        add_expiry_headers_of(outcome.of(Token), claims.generation, outcome.at)
    return IssuedBearer(ring.sign(claims), claims)


def _lifetime(exchanging: Exchanging, request: BearerRequest) -> int:
    longest = exchanging.settings.bearer_lifetime_seconds
    return longest if request.lifetime_seconds is None else min(request.lifetime_seconds, longest)


async def _acting(exchanging: Exchanging, claims: Claims) -> Principal | None:
    """Return the token that acts in a bearer already, with the bounds that the door checks again."""
    if claims.act is None:
        return None
    seen = await exchanging.verifying.lookup.by_id(claims.account, claims.act.client_id)
    if seen is None:
        raise CredentialsRefused
    actor = Actor("token", seen.id)
    return Principal(
        actor=actor, account=claims.account, scopes=(), generation=claims.act.generation, bounds=seen.bounds
    )


def _act(actor: Principal | None, before: Act | None) -> Act | None:
    if actor is None:
        return before
    if actor.owner is None or actor.generation is None:
        raise TypeError("only a token acts on behalf of another")
    return Act(actor.owner.id, actor.actor.id, actor.generation, before)


def _claims(issuer: str, outcome: Outcome, act: Act | None) -> Claims:
    token, event = outcome.of(Token), outcome.facts[0].event
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
