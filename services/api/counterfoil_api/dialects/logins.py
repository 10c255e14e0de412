"""Logging in to a vendor's API: a password buys a session, which is a token that ends by itself."""

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
from counterfoil_api.handling.described import Undescribed
from counterfoil_api.handling.issuing import Issuing
from counterfoil_api.handling.reading import Reading
from counterfoil_api.limits.callers import Callers


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A session that has begun: its secret, its token, and whose it is."""

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
    callers: Callers,
    reading: Reading,
    issuing: Issuing,
    given: PasswordGiven,
    kind: Kind,
    *,
    otp: str | None = None,
    address: Address | None = None,
    scopes: tuple[str, ...] | None = None,
) -> Session:
    """Begin a session with a password and perhaps a one-time code; it may do what its user may, or only `scopes`.

    Raises what every password may be refused with: CredentialsRefused, OtpRequired, RateLimited, NetworkForbidden.
    """
    asker = await callers.authenticate(PresentedCredentials(given, otp, address))
    return await begin(reading, issuing, asker, kind, scopes=scopes)


async def begin(
    reading: Reading, issuing: Issuing, asker: Principal, kind: Kind, *, scopes: tuple[str, ...] | None = None
) -> Session:
    """Begin a session for the user who asks, after they were believed.

    One that begins with what ends by itself is bounded by it, whatever its holder does. It lives no longer than the
    account's policy lets tokens live.
    """
    user = asker.owner.user if asker.owner else None
    found = await one_user(reading.pool, asker.account, user) if user else None
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

    def shown(outcome: Outcome, secret: str) -> str:
        begun.append(outcome.token)
        return secret

    # What a user holds already is theirs, however strange it is to the catalogue.
    foreign = Undescribed((), catalogue=False) if scopes is None else None
    try:
        secret = await issuing.issue(asker, wish, None, shown, kind=str, unlisted=foreign)
    except BeyondPolicy as refusal:  # no vendor's client could state how long a session is to live
        if not isinstance(longest := refusal.facts.get("longest"), str):
            raise
        secret = await issuing.issue(asker, replace(wish, lifetime=longest), None, shown, kind=str, unlisted=foreign)
    return Session(secret, begun[0], found)
