"""What an authenticated caller may do, and to whose tokens."""

from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.refusals import ScopeMissing
from counterfoil.core.subjects.token.state import Token
from counterfoil_api.operations import reading

Caller = reading.Caller[Principal]
"""The authenticated caller of an operation, as a parameter of its handler."""


def need(caller: Principal, scope: str) -> None:
    """Refuse a caller that lacks a scope."""
    if caller.lacks(scope):
        raise ScopeMissing(f"This needs the scope {scope}.", scope=scope)


def reach(caller: Principal, scope: str, *, instead: tuple[str, ...] = ()) -> Owner | None:
    """Return the owner whose tokens the caller's scope covers: None for all, or with `own.…` the caller's own owner.

    Any scope in `instead`, which a dialect gives its tokens, counts like `own.…`.
    """
    if not caller.lacks(scope):
        return None
    own = (f"own.{scope.removeprefix('tokens.')}", *instead)
    if caller.owner is None or all(map(caller.lacks, own)):
        need(caller, scope)
    return caller.owner


def is_own(caller: Principal, token: Token) -> bool:
    """Say whether a token is the caller itself, or acts on behalf of the same owner."""
    return caller.actor == Actor("token", token.id) or is_for(caller, token.owner)


def is_for(caller: Principal, owner: Owner | None) -> bool:
    """Say whether the caller acts on behalf of this owner."""
    return owner is not None and caller.owner == owner
