"""Callers and what they may do: a session what its user may, a token what its methods allow."""

from counterfoil.core.bounds import Address
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import CredentialsRefused, ScopeMissing
from counterfoil.core.subjects.token.state import is_session
from counterfoil.core.subjects.user import User
from counterfoil.postgres.listing import Listed, one
from counterfoil.postgres.users import one_user
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials
from counterfoil_api.auth.principals import reach
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.dialects.virtuozzo.methods import scope_of
from counterfoil_api.dialects.virtuozzo.parameters import Change
from counterfoil_api.http.errors import PasswordNeeded


async def within(tokens: Tokens, asker: Principal, method: str, scope: str) -> Owner | None:
    """Return the owner whose tokens the caller may do this to; None means every token.

    A token's methods allow this for the tokens of its owner. The native scope allows it to sessions and tokens alike.
    """
    permission = scope_of(method)
    try:
        return reach(asker, scope, instead=(permission,))
    except ScopeMissing:
        if await session_of(tokens, asker) is not None:
            raise
        raise ScopeMissing(f"The token does not allow {method}.", scope=permission) from None


async def session_of(tokens: Tokens, asker: Principal) -> Listed | None:
    """Return the calling session; None for any other token."""
    found = await one(tokens.reading.pool, asker.account, token_id=asker.actor.id)
    return found if found is not None and is_session(found.token.dialect) else None


async def user_of(tokens: Tokens, asker: Principal) -> User | None:
    """Return the calling user, or the user that the calling token acts for."""
    user = None if asker.owner is None else asker.owner.user
    return None if user is None else await one_user(tokens.reading.pool, asker.account, user)


async def confirm(tokens: Tokens, asker: Principal, given: Change, address: Address | None) -> None:
    """Check the password of the caller's user, within the limits of logins. Raises what logins raise.

    A token needs the password of its user. A token that acts for no user cannot change anything here.
    """
    user = await user_of(tokens, asker)
    if user is None or user.name is None:
        raise PasswordNeeded("A change takes a user's password, and this token acts for no user.")
    if not given.password:
        raise PasswordNeeded("Confirm the change with the user's password, as the parameter password.")
    shown = PasswordGiven(user.name, given.password, asker.account)
    try:
        await tokens.callers.passwords.principal(shown, PresentedCredentials(shown, given.code or None, address))
    except CredentialsRefused:
        raise wrong_password() from None


def wrong_password() -> CredentialsRefused:
    """Return the refusal of a wrong password; the session stays valid."""
    return CredentialsRefused("The password or the one-time code is wrong.", field="password")
