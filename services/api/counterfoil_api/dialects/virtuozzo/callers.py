"""Permissions of callers: a session has those of its user, a token those of its methods."""

from counterfoil.core.bounds import Address
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import CredentialsRefused, ScopeMissing
from counterfoil_api.auth.credentials import PasswordGiven, PresentedCredentials
from counterfoil_api.auth.principals import reach
from counterfoil_api.dialects.logins import session_of, user_of
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.dialects.virtuozzo.methods import Method
from counterfoil_api.dialects.virtuozzo.parameters import Change
from counterfoil_api.http.errors import PasswordNeeded


async def require(tokens: Tokens, caller: Principal, method: Method) -> None:
    """Refuse a caller who may not call the method. Raises ScopeMissing.

    A token's methods allow this for the tokens of its owner. The native scope allows it to sessions and tokens alike.
    """
    try:
        reach(caller, method.scope, instead=(method.permission,))
    except ScopeMissing:
        if await session_of(tokens, caller) is not None:
            raise
        raise ScopeMissing(f"The token does not allow {method.name}.", scope=method.permission) from None


async def confirm(tokens: Tokens, caller: Principal, method: Method, given: Change, address: Address | None) -> None:
    """Check that the caller may call the method, and the password of their user, within the limits of logins.

    A token needs the password of its user. A token that acts for no user cannot change anything here. Raises
    ScopeMissing, PasswordNeeded, and what logins raise.
    """
    await require(tokens, caller, method)
    user = await user_of(tokens, caller)
    if user is None or user.name is None:
        raise PasswordNeeded("A change takes a user's password, and this token acts for no user.")
    if not given.password:
        raise PasswordNeeded("Confirm the change with the user's password, as the parameter password.")
    shown = PasswordGiven(user.name, given.password, caller.account)
    try:
        await tokens.callers.passwords.principal(shown, PresentedCredentials(shown, given.code or None, address))
    except CredentialsRefused:
        raise wrong_password() from None


def wrong_password() -> CredentialsRefused:
    """Return the refusal of a wrong password; the session stays valid."""
    return CredentialsRefused("The password or the one-time code is wrong.", field="password")
