"""Users, named in paths by their numbers."""

from __future__ import annotations

import re
from math import inf
from typing import Final, NamedTuple
from uuid import UUID

from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import NotFound
from counterfoil.core.scopes import meet
from counterfoil.core.subjects.user import owner_of
from counterfoil.postgres.users import one_user
from counterfoil_api.auth.principals import need, reach
from counterfoil_api.dialects.tokens import Tokens
from counterfoil_api.limits.expiring_map import ExpiringMap

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_KNOWN: Final = 10_000


class NamedUser(NamedTuple):
    """A user as the owner of tokens, and the scopes of the tokens that this caller makes for them."""

    owner: Owner
    scopes: tuple[str, ...]


_own: Final[ExpiringMap[tuple[UUID, int], UUID]] = ExpiringMap(_KNOWN)
"""Users by account and number: a number never changes, so most callers look themselves up once."""


async def user_named(tokens: Tokens, caller: Principal, number: str, *, scope: str) -> NamedUser:
    """Return the named user. A caller with `own.…` scopes does not learn whether other users exist.

    Raises ScopeMissing, NotFound.
    """
    within = reach(caller, scope)
    if not _NUMBER.fullmatch(number):
        raise NotFound
    known = _own.get((caller.account, int(number)))
    if known is not None and caller.owner == owner_of(known):
        return NamedUser(caller.owner, caller.scopes)
    found = await one_user(tokens.reading.pool, caller.account, int(number))
    if within is not None and (found is None or owner_of(found.id) != within):
        need(caller, scope)
    if found is None or found.status == "removed":
        raise NotFound
    owner = owner_of(found.id)
    if owner == caller.owner:
        _own.keep((caller.account, int(number)), found.id, inf)
        return NamedUser(owner, caller.scopes)
    return NamedUser(owner, meet(found.held, caller.scopes))
