"""From credentials to the principal who asks, exactly as of this moment: nothing is remembered."""

from uuid import UUID

from counterfoil.bounds import Address, admits
from counterfoil.postgres.lookup import Seen
from counterfoil.postgres.users import one_user
from counterfoil.principal import Actor, Owner, Principal
from counterfoil.refusals import NetworkForbidden, Refusal, ScopeMissing, TokenNetworkForbidden, UnknownSecret
from counterfoil.scopes import meet
from counterfoil.token import flaw, good_until, stands_for_its_owner
from counterfoil_api.auth.bearers import Act, Claims, chain, header_of
from counterfoil_api.auth.credentials import Approach, BearerGiven, PasswordGiven, SecretGiven
from counterfoil_api.edge.addresses import network_of
from counterfoil_api.edge.complaints import CredentialsRefused
from counterfoil_api.edge.problems import kind_of
from counterfoil_api.ledger import Ledger


async def authenticate(ledger: Ledger, approach: Approach) -> Principal:
    """The principal who comes with these credentials from this address, or the refusal that says why there is none."""
    asker = await ledger.limits.guard.over(approach, lambda: _believed(ledger, approach))
    await ledger.pepper_watch.settled()  # for what they may have minted; only now, since the malformed cost no question
    await ledger.limits.allowance.spend(asker, approach.address)
    return asker


def note_forbidden(ledger: Ledger, approach: Approach, asker: object, refusal: Refusal) -> None:
    """Record that somebody asked for what they may not do."""
    if isinstance(asker, Principal):
        network = network_of(approach.address)
        ledger.limits.attempts.note(asker.account, kind_of(refusal).name, asker.actor.id, network=network)


async def _believed(ledger: Ledger, approach: Approach) -> Principal:
    match approach.credentials:
        case SecretGiven() as given:
            return await _by_secret(ledger, given, approach)
        case BearerGiven(text):
            return await _by_bearer(ledger, text, approach)
        case PasswordGiven() as given:
            await ledger.pepper_watch.settled()  # recovery codes are digested as secrets are
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


async def seen_by_secret(
    ledger: Ledger, plain: str, *, client: UUID | None = None, account: UUID | None = None
) -> tuple[int, Seen]:
    """The generation of a secret that is good, and the token that it opens. Whoever accepts it notes the use.

    Where a token (`client`) or an `account` is named, the secret of any other is one that never was: nobody there
    learns whether it is dead, and how it died. What cannot be a secret (see `recognition`) never reaches the database.
    """
    secret = await ledger.recognition.of(plain)
    if secret is None:
        raise CredentialsRefused
    await ledger.pepper_watch.settled()
    seen = await ledger.lookup.by_digests(ledger.peppers.digests(secret))
    found = seen is not None and client in (None, seen.id) and account in (None, seen.account)
    if seen is None or seen.presented is None or not found:
        ledger.pepper_watch.refuse_in_doubt()
        raise UnknownSecret
    if denied := flaw(seen, seen.presented, seen.at, seen.around):
        raise denied
    if seen.pepper_id is not None:
        ledger.again.note(secret, seen.pepper_id)
    return seen.presented, seen


async def retired_by_secret(ledger: Ledger, approach: Approach) -> Seen | None:
    """The token whose secret this once was; it opens nothing."""
    given = approach.credentials
    secret = await ledger.recognition.of(given.plain) if isinstance(given, SecretGiven) else None
    return await ledger.lookup.by_digests(ledger.peppers.digests(secret)) if secret else None


async def seen_by_bearer(ledger: Ledger, text: str, *, account: UUID | None = None) -> tuple[Claims, Seen]:
    """The claims of a bearer that is still good, and the token that bought it. Whoever accepts it notes the use.

    Where an `account` is named, the bearer of any other is refused like one that we never signed.
    It ends with its own time, with its token, and with any token that acts in it.
    """
    claims = await ledger.keys.claims_of(text)
    if account not in (None, claims.account):
        raise CredentialsRefused
    seen = await ledger.lookup.by_id(claims.account, claims.token)
    # The exact instant of expiry is already too late.
    if seen is None or claims.exp <= seen.at.timestamp():
        raise CredentialsRefused
    await ledger.keys.confirm(text, seen.ring)  # as of the very statement that found the token
    if denied := flaw(seen, claims.generation, seen.at, seen.around):
        raise denied
    for actor in chain(claims.act):
        acting = await ledger.lookup.by_id(claims.account, actor.client_id)
        if acting is None or flaw(acting, actor.generation, acting.at, acting.around):
            raise CredentialsRefused("A token that acts in this bearer token is no longer valid.")
    return claims, seen


def scopes_left(claims: Claims, seen: Seen) -> tuple[str, ...]:
    """What a bearer may still do: nothing that its token has lost since."""
    return meet(seen.scopes, tuple(claims.scope.split()))


def refuse_network(seen: Seen, address: Address | None) -> None:
    """Refuse whoever comes from a network that the account, or the token, does not allow."""
    if not seen.around.policy.admits(address):
        raise NetworkForbidden
    if not admits(seen.bounds.networks, address):
        raise TokenNetworkForbidden


async def refuse_networks(ledger: Ledger, seen: Seen, act: Act | None, address: Address | None) -> None:
    """Refuse whoever comes from where the token, or one that acts in its bearer, may not be used."""
    refuse_network(seen, address)
    for actor in chain(act):
        acting = await ledger.lookup.by_id(seen.account, actor.client_id)
        if acting is not None:
            refuse_network(acting, address)


async def _by_secret(ledger: Ledger, given: SecretGiven, approach: Approach) -> Principal:
    generation, seen = await seen_by_secret(ledger, given.plain, client=given.client)
    if approach.email is not None:
        await _refuse_another(ledger, seen, approach.email)
    refuse_network(seen, approach.address)
    ledger.uses.note(seen, generation)
    return Principal(
        actor=Actor("token", seen.id),
        account=seen.account,
        scopes=seen.scopes,
        owner=seen.owner,
        generation=generation,
        expires_at=None if approach.as_owner and stands_for_its_owner(seen.dialect) else good_until(seen, generation),
        bounds=seen.bounds,
    )


async def _refuse_another(ledger: Ledger, seen: Seen, email: str) -> None:
    """Refuse a secret beside the address of anybody but its owner, like one that no token has."""
    owner = None if seen.owner.user is None else await one_user(ledger.readers, seen.account, seen.owner.user)
    if owner is None or owner.name is None or owner.name.casefold() != email.casefold():
        raise UnknownSecret


async def _by_bearer(ledger: Ledger, text: str, approach: Approach) -> Principal:
    claims, seen = await seen_by_bearer(ledger, text)
    await refuse_networks(ledger, seen, claims.act, approach.address)
    # A bearer that was bought for somebody else's API is not good here (RFC 9068 4).
    if f"{ledger.settings.public_url}{approach.audience}" not in claims.audiences:
        raise CredentialsRefused("This bearer token is for another audience; request one for this service.")
    ledger.uses.note(seen, claims.generation)
    as_owner = approach.as_owner and approach.audience and claims.act is None
    return Principal(
        actor=Actor("token", seen.id),
        account=seen.account,
        scopes=scopes_left(claims, seen),
        owner=seen.owner,
        generation=claims.generation,
        expires_at=good_until(seen, claims.generation) if as_owner else claims.expires_at,
        bounds=seen.bounds,
        delegated=claims.act is not None,
        acting=tuple((actor.client_id, actor.generation) for actor in chain(claims.act)),
        signed_with=header_of(text),
    )
