"""Logging in to a vendor's API: a password gives a session, which is a token that expires."""

from dataclasses import dataclass, replace
from typing import Final

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BeyondPolicy, CredentialsRefused, NotFound
from counterfoil.core.secret import SecretShape
from counterfoil.core.subjects.token.state import BOUNDED, SESSION, Token, is_session
from counterfoil.core.subjects.user import User, owner_of
from counterfoil.core.unit_of_work import Outcome
from counterfoil.postgres.listing import Listed, one
from counterfoil.postgres.liveness import database_time
from counterfoil.postgres.users import one_user
from counterfoil.uses.issue import Wish
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.handling.described import Undescribed
from counterfoil_api.http.errors import OtpRequired, RateLimited

DAY_SECONDS: Final = 86_400
LOGIN_REFUSALS: Final = (CredentialsRefused, OtpRequired, RateLimited)


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A new session: its secret, its token and its user."""

    secret: str
    token: Token
    user: User


async def user_of(tokens: Tokens, caller: Principal) -> User | None:
    """Return the calling user, or the user that the calling token acts for."""
    user = caller.owner.user if caller.owner else None
    return await one_user(tokens.reading.pool, caller.account, user) if user else None


async def session_of(tokens: Tokens, caller: Principal) -> Listed | None:
    """Return the calling session; None for any other token."""
    found = await one(tokens.reading.pool, caller.account, token_id=caller.actor.id)
    return found if found is not None and is_session(found.token.dialect) else None


async def log_in(
    tokens: Tokens,
    caller: Principal,
    dialect: str,
    *,
    seconds: int = DAY_SECONDS,
    shape: SecretShape | None = None,
    scopes: tuple[str, ...] | None = None,
) -> Session:
    """Begin a session for the authenticated user, with the scopes of the user or only `scopes`.

    A session that begins with an expiring credential does not outlive it, nor the longest lifetime of the policy.
    """
    user = await user_of(tokens, caller)
    if user is None:
        raise NotFound("The caller is no user; log in with an e-mail address and a password.")
    wish = Wish(
        name=f"{dialect} session",
        owner=owner_of(user.id),
        scopes=caller.scopes if scopes is None else scopes,
        lifetime=f"{await _seconds(tokens, caller, seconds)}s",
        dialect=f"{dialect}{'' if caller.expires_at is None else BOUNDED}{SESSION}",
        shape=shape,
    )
    unlisted = Undescribed((), catalogue=False) if scopes is None else None  # the user's own need no description

    def render(outcome: Outcome, secret: str) -> Session:
        return Session(secret, outcome.of(Token), user)

    try:
        return await tokens.issuing.issue(caller, wish, None, render, kind=Session, unlisted=unlisted)
    except BeyondPolicy as refusal:  # vendors' clients state no lifetime of a session
        if not isinstance(longest := refusal.facts.get("longest"), str):
            raise
        wish = replace(wish, lifetime=longest)
        return await tokens.issuing.issue(caller, wish, None, render, kind=Session, unlisted=unlisted)


async def _seconds(tokens: Tokens, caller: Principal, seconds: int) -> int:
    """Return how long the session lasts: so many seconds, or for the rest of an expiring credential."""
    if caller.expires_at is None:
        return seconds
    left = (caller.expires_at - await database_time(tokens.reading.pool)).total_seconds()
    return max(1, min(seconds, int(left)))
