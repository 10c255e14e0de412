"""From credentials to the principal who asks, exactly as of this moment: nothing is remembered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from counterfoil.core.emails import canonical
from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.refusals import Refusal, ScopeMissing, UnknownSecret
from counterfoil.core.subjects.token.state import Token, good_until, stands_for_its_owner
from counterfoil.postgres.lookup import Seen
from counterfoil.postgres.users import one_user
from counterfoil_api.auth.bearers import chain, header_of
from counterfoil_api.auth.credentials import BearerGiven, PasswordGiven, PresentedCredentials, SecretGiven
from counterfoil_api.auth.verification import Found, believed, refuse_audience, refuse_networks
from counterfoil_api.http.addresses import network_of
from counterfoil_api.http.problems import kind_of
from counterfoil_api.ledger import Ledger


async def authenticate(ledger: Ledger, approach: PresentedCredentials) -> Principal:
    """The principal who comes with these credentials from this address, or the refusal that says why there is none."""
    asker = await ledger.limits.guard.over(approach, lambda: _believed(ledger, approach))
    await ledger.pepper_sync.settled()  # for what they may have minted; only now, since the malformed cost no question
    await ledger.limits.allowance.spend(asker, approach.address)
    return asker


async def judge(ledger: Ledger, approach: PresentedCredentials) -> None:
    """Judge a token's credentials that came with something to refuse: what is wrong with them is said first.

    If nothing is, their use is noted.
    """
    given = approach.credentials
    if not isinstance(given, PasswordGiven):
        await ledger.limits.guard.over(approach, lambda: believed(ledger, given))


@asynccontextmanager
async def judging(ledger: Ledger, approach: PresentedCredentials | None) -> AsyncIterator[None]:
    """Judge these credentials, if there are any, before what is done within this block is refused."""
    try:
        yield
    except Refusal:
        if approach is not None:
            await judge(ledger, approach)
        raise


def note_forbidden(ledger: Ledger, approach: PresentedCredentials, asker: object, refusal: Refusal) -> None:
    """Record that somebody asked for what they may not do."""
    if isinstance(asker, Principal):
        network = network_of(approach.address)
        ledger.limits.attempts.note(asker.account, kind_of(refusal).name, asker.actor.id, network=network)


async def _believed(ledger: Ledger, approach: PresentedCredentials) -> Principal:
    match approach.credentials:
        case SecretGiven() | BearerGiven() as given:
            return await _by_token(ledger, given, approach)
        case PasswordGiven() as given:
            await ledger.pepper_sync.settled()  # recovery codes are digested as secrets are
            return await ledger.passwords.principal(given, approach)


def need(asker: Principal, scope: str) -> None:
    """Refuse whoever lacks a scope."""
    if asker.lacks(scope):
        raise ScopeMissing(f"This needs the scope {scope}.", scope=scope)


def reach(asker: Principal, scope: str, *, instead: tuple[str, ...] = ()) -> Owner | None:
    """Whose tokens somebody may do this to: everybody's (None), or with `own.…` those of their own owner alone.

    Any of the scopes `instead`, which a dialect gives its tokens, is as good as `own.…`.
    """
    if not asker.lacks(scope):
        return None
    own = (f"own.{scope.removeprefix('tokens.')}", *instead)
    if asker.owner is None or all(map(asker.lacks, own)):
        need(asker, scope)
    return asker.owner


def is_own(asker: Principal, token: Token) -> bool:
    """Whether a token is the caller itself, or acts on behalf of the same owner."""
    return asker.actor == Actor("token", token.id) or is_for(asker, token.owner)


def is_for(asker: Principal, owner: Owner | None) -> bool:
    """Whether the caller acts on behalf of this owner."""
    return owner is not None and asker.owner == owner


async def _by_token(ledger: Ledger, given: SecretGiven | BearerGiven, approach: PresentedCredentials) -> Principal:
    found = await believed(ledger, given)
    seen = found.seen
    if approach.email is not None:
        await _refuse_another(ledger, seen, approach.email)
    await refuse_networks(ledger, found, approach.address)
    refuse_audience(found, f"{ledger.settings.public_url}{approach.audience}")
    return Principal(
        actor=Actor("token", seen.id),
        account=seen.account,
        scopes=found.scopes,
        owner=seen.owner,
        generation=found.generation,
        expires_at=_end(found, approach),
        bounds=seen.bounds,
        quota=seen.context.quota,
        delegated=found.act is not None,
        acting=tuple((actor.client_id, actor.generation) for actor in chain(found.act)),
        signed_with=header_of(given.text) if isinstance(given, BearerGiven) else "",
    )


def _end(found: Found, approach: PresentedCredentials) -> datetime | None:
    """When what somebody presents ends; where they may do what outlives it, when that does for which it stands."""
    for_audience = approach.audience and found.act is None
    if not approach.as_owner or (found.claims is not None and not for_audience):
        return found.until
    return None if stands_for_its_owner(found.seen.dialect) else good_until(found.seen, found.generation)


async def _refuse_another(ledger: Ledger, seen: Seen, email: str) -> None:
    """Refuse a secret beside the address of anybody but its owner, like one that no token has."""
    owner = None if seen.owner.user is None else await one_user(ledger.readers, seen.account, seen.owner.user)
    if owner is None or owner.name is None or canonical(owner.name) != canonical(email):
        raise UnknownSecret
