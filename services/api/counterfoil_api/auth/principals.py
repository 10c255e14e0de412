"""What an authenticated caller may do, and to whose tokens."""

from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.refusals import ScopeMissing
from counterfoil.core.subjects.token.state import Token


def need(asker: Principal, scope: str) -> None:
    """Refuse a caller that lacks a scope."""
    if asker.lacks(scope):
        raise ScopeMissing(f"This needs the scope {scope}.", scope=scope)


def reach(asker: Principal, scope: str, *, instead: tuple[str, ...] = ()) -> Owner | None:
    """Return whose tokens a caller may do this to: everybody's (None), or with `own.…` those of its own owner.

    Any scope in `instead`, which a dialect gives its tokens, counts like `own.…`.
    """
    if not asker.lacks(scope):
        return None
    own = (f"own.{scope.removeprefix('tokens.')}", *instead)
    if asker.owner is None or all(map(asker.lacks, own)):
        need(asker, scope)
    return asker.owner


def is_own(asker: Principal, token: Token) -> bool:
    """Say whether a token is the caller itself, or acts on behalf of the same owner."""
    return asker.actor == Actor("token", token.id) or is_for(asker, token.owner)


def is_for(asker: Principal, owner: Owner | None) -> bool:
    """Say whether the caller acts on behalf of this owner."""
    return owner is not None and asker.owner == owner
