"""Scopes that the account's catalogue does not describe: they are marked, or refused if the catalogue is closed."""

from typing import NamedTuple

from counterfoil.core.builtin_scopes import KNOWN
from counterfoil.core.principal import Principal
from counterfoil.core.scopes import EVERYTHING, SCOPE_LIMIT, containers, missing, well_formed
from counterfoil.core.subjects.scope_catalogue import Scope, named
from counterfoil.postgres.scope_catalogue import by_name, those
from counterfoil_api.handling.reading import Reading, own_account


class Undescribed(NamedTuple):
    """Scopes that the account's catalogue does not describe, and whether the account has a catalogue."""

    scopes: tuple[str, ...]
    catalogue: bool


async def undescribed(reading: Reading, caller: Principal, scopes: tuple[str, ...]) -> Undescribed:
    """Return those of a token's or user's scopes that are not native and that no entry of the catalogue describes.

    Scopes beyond the allowed number are refused later, so they are not looked up.
    """
    # The core refuses malformed scopes later.
    foreign = tuple(scope for scope in dict.fromkeys(scopes) if scope not in KNOWN and well_formed(scope))[:SCOPE_LIMIT]
    if not foreign:
        return Undescribed((), catalogue=False)
    names = {name for scope in foreign for name in containers(scope)} - {EVERYTHING}
    ids = [named(caller.account, "scope", name) for name in names]
    found = [scope.name or "" for scope in await those(reading.pool, caller.account, ids, Scope)]
    catalogue = bool(found or await by_name(reading.pool, caller.account, ("scope", Scope), after=None, limit=1))
    return Undescribed(missing(found, foreign), catalogue)


async def refuse_undescribed(reading: Reading, caller: Principal, scopes: tuple[str, ...]) -> None:
    """Raise BeyondPolicy for scopes that a closed catalogue does not describe, where the door does not check it."""
    if lacking := (await undescribed(reading, caller, scopes)).scopes:
        (await own_account(reading, caller)).policy.refuse_undescribed(lacking)
