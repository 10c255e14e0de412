"""Logging in to a vendor's API: a password gives a session, which is a token that expires."""

from dataclasses import dataclass, replace

from counterfoil.core.bounds import Address
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BeyondPolicy, NotFound
from counterfoil.core.secret import SecretShape
from counterfoil.core.subjects.token.state import BOUNDED, SESSION, Token
from counterfoil.core.subjects.user import User, owner_of
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres.users import one_user
from counterfoil.uses.issue import Wish
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.handling.described import Undescribed


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A new session: its secret, its token and its user."""

    secret: str
    token: Token
    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What the sessions of one dialect are like."""

    dialect: str
    seconds: int
    shape: SecretShape | None = None


async def log_in(
    tokens: Tokens,
    given: PasswordGiven,
    kind: Kind,
    *,
    otp: str | None = None,
    address: Address | None = None,
    scopes: tuple[str, ...] | None = None,
) -> Session:
    """Begin a session with a password and perhaps a one-time code, with the scopes of its user or only `scopes`.

    Raises CredentialsRefused, OtpRequired, RateLimited, NetworkForbidden.
    """
    asker = await tokens.callers.authenticate(PresentedCredentials(given, otp, address))
    return await begin(tokens, asker, kind, scopes=scopes)


async def begin(tokens: Tokens, asker: Principal, kind: Kind, *, scopes: tuple[str, ...] | None = None) -> Session:
    """Begin a session for the authenticated user.

    A session that begins with an expiring credential does not outlive it, nor the longest lifetime of the policy.
    """
    user = asker.owner.user if asker.owner else None
    found = await one_user(tokens.reading.pool, asker.account, user) if user else None
    if found is None:
        raise NotFound("The caller is no user; log in with an e-mail address and a password.")
    wish = Wish(
        name=f"{kind.dialect} session",
        owner=owner_of(found.id),
        scopes=asker.scopes if scopes is None else scopes,
        lifetime=f"{kind.seconds}s",
        dialect=f"{kind.dialect}{'' if asker.expires_at is None else BOUNDED}{SESSION}",
        shape=kind.shape,
    )
    begun: list[Token] = []

    def render(outcome: Outcome, secret: str) -> str:
        begun.append(outcome.of(Token))
        return secret

    # Scopes that the user holds already need no description in the catalogue.
    unlisted = Undescribed((), catalogue=False) if scopes is None else None
    try:
        secret = await tokens.issuing.issue(asker, wish, None, render, kind=str, unlisted=unlisted)
    except BeyondPolicy as refusal:  # vendors' clients state no lifetime of a session
        if not isinstance(longest := refusal.facts.get("longest"), str):
            raise
        secret = await tokens.issuing.issue(
            asker, replace(wish, lifetime=longest), None, render, kind=str, unlisted=unlisted
        )
    return Session(secret, begun[0], found)
