"""Who calls, and what they may: a session may do what its user may, a token what its methods allow."""

from counterfoil.core.bounds import Address
from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import CredentialsRefused, ScopeMissing
from counterfoil.core.subjects.token.state import is_session
from counterfoil.core.subjects.user import User
from counterfoil.postgres.listing import Listed, one
from counterfoil.postgres.users import one_user
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials
from counterfoil_api.auth.passwords import Passwords
from counterfoil_api.auth.principals import reach
from counterfoil_api.dialects.virtuozzo.methods import scope_of
from counterfoil_api.dialects.virtuozzo.parameters import Change
from counterfoil_api.handling.reading import Reading
from counterfoil_api.http.errors import PasswordNeeded


async def within(reading: Reading, asker: Principal, method: str, scope: str) -> Owner | None:
    """Whose tokens a caller may do this to: everybody's (None), or those of their own owner alone.

    A token does what its methods allow to the tokens of its owner; with the native scope it, or a session, does what
    that allows.
    """
    permission = scope_of(method)
    try:
        return reach(asker, scope, instead=(permission,))
    except ScopeMissing:
        if await session_of(reading, asker) is not None:
            raise
        raise ScopeMissing(f"The token does not allow {method}.", scope=permission) from None


async def session_of(reading: Reading, asker: Principal) -> Listed | None:
    """The session that calls; None if it is any other token."""
    found = await one(reading.pool, asker.account, token_id=asker.actor.id)
    return found if found is not None and is_session(found.token.dialect) else None


async def user_of(reading: Reading, asker: Principal) -> User | None:
    """The user who calls, or on whose behalf a token does."""
    user = None if asker.owner is None else asker.owner.user
    return None if user is None else await one_user(reading.pool, asker.account, user)


async def confirm(
    reading: Reading, passwords: Passwords, asker: Principal, given: Change, address: Address | None
) -> None:
    """Check the password of the user who calls, within the limits of every login. Raises what these raise.

    A token needs that of its user, too; one that acts for no user changes nothing here.
    """
    user = await user_of(reading, asker)
    if user is None or user.name is None:
        raise PasswordNeeded("A change takes a user's password, and this token acts for no user.")
    if not given.password:
        raise PasswordNeeded("Confirm the change with the user's password, as the parameter password.")
    shown = PasswordGiven(user.name, given.password, asker.account)
    try:
        await passwords.principal(shown, PresentedCredentials(shown, given.code or None, address))
    except CredentialsRefused:
        raise wrong_password() from None


def wrong_password() -> CredentialsRefused:
    """The refusal of a password, beside which a session is as good as before."""
    return CredentialsRefused("The password is wrong, or the one-time code beside it.", field="password")
