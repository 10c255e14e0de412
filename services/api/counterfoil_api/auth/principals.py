"""What an authenticated caller may do, and to whose tokens."""

from counterfoil.core.principal import Actor, Owner, Principal
from counterfoil.core.refusals import ScopeMissing
from counterfoil.core.subjects.token.state import Token


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


def is_own(asker: Principal, token: Token) -> bool:
    """Whether a token is the caller itself, or acts on behalf of the same owner."""
    return asker.actor == Actor("token", token.id) or is_for(asker, token.owner)


def is_for(asker: Principal, owner: Owner | None) -> bool:
    """Whether the caller acts on behalf of this owner."""
    return owner is not None and asker.owner == owner
