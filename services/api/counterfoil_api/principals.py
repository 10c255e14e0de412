"""From credentials to the principal who asks, exactly as of this moment: nothing is remembered."""

from counterfoil.postgres.lookup import Seen
from counterfoil.principal import Actor, Principal
from counterfoil.refusals import ScopeMissing, UnknownSecret
from counterfoil.scopes import missing
from counterfoil.secret import recognised
from counterfoil.token import flaw, good_until
from counterfoil_api.authentication import BearerGiven, Credentials, PasswordGiven, SecretGiven
from counterfoil_api.complaints import CredentialsRefused
from counterfoil_api.keys import Claims
from counterfoil_api.ledger import Ledger


async def authenticate(ledger: Ledger, credentials: Credentials) -> Principal:
    """The principal whom these credentials belong to, or the refusal that says why there is none."""
    match credentials:
        case SecretGiven(plain):
            return await _by_secret(ledger, plain)
        case BearerGiven(text):
            return await _by_bearer(ledger, text)
        case PasswordGiven(email, password):
            return await ledger.passwords.principal(email, password)


def need(asker: Principal, scope: str) -> None:
    """Refuse whoever lacks a scope."""
    if asker.lacks(scope):
        raise ScopeMissing(f"This needs the scope {scope}.", scope=scope)


async def seen_by_secret(ledger: Ledger, plain: str) -> tuple[int, Seen]:
    """The generation of a secret that is good, and the token that it opens. Whoever accepts it notes the use.

    What has not our form or checksum never reaches the database.
    """
    secret = recognised(plain)
    if secret is None:
        raise CredentialsRefused
    seen = await ledger.lookup.by_digests(ledger.peppers.digests(secret))
    if seen is None or seen.presented is None:
        raise UnknownSecret
    if denied := flaw(seen, seen.presented, seen.at):
        raise denied
    return seen.presented, seen


async def retired_by_secret(ledger: Ledger, credentials: Credentials) -> Seen | None:
    """The token whose secret this once was; it opens nothing."""
    secret = recognised(credentials.plain) if isinstance(credentials, SecretGiven) else None
    return await ledger.lookup.by_digests(ledger.peppers.digests(secret)) if secret else None


async def seen_by_bearer(ledger: Ledger, text: str) -> tuple[Claims, Seen]:
    """The claims of a bearer that is still good, and the token that bought it. Whoever accepts it notes the use."""
    claims = (await ledger.keys.ring()).claims_of(text)
    seen = await ledger.lookup.by_id(claims.account, claims.token)
    # The exact instant of expiry is already too late.
    if seen is None or claims.exp <= seen.at.timestamp():
        raise CredentialsRefused
    if denied := flaw(seen, claims.generation, seen.at):
        raise denied
    return claims, seen


def scopes_left(claims: Claims, seen: Seen) -> tuple[str, ...]:
    """What a bearer may still do: nothing that its token has lost since."""
    return tuple(scope for scope in claims.scope.split() if not missing(seen.scopes, (scope,)))


async def _by_secret(ledger: Ledger, plain: str) -> Principal:
    generation, seen = await seen_by_secret(ledger, plain)
    ledger.uses.note(seen, generation)
    return Principal(
        actor=Actor("token", seen.id),
        account=seen.account,
        scopes=seen.scopes,
        expires_at=good_until(seen, generation),
    )


async def _by_bearer(ledger: Ledger, text: str) -> Principal:
    claims, seen = await seen_by_bearer(ledger, text)
    # A bearer that was bought for somebody else's API is not good here (RFC 9068 4).
    if ledger.settings.public_url not in claims.audiences:
        raise CredentialsRefused("This bearer is for another audience.")
    ledger.uses.note(seen, claims.generation)
    return Principal(
        actor=Actor("token", seen.id),
        account=seen.account,
        scopes=scopes_left(claims, seen),
        expires_at=claims.expires_at,
    )
