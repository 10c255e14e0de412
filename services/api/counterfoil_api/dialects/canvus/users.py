"""The users that paths name by their numbers."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from uuid import UUID

from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import NotFound
from counterfoil.core.scopes import meet
from counterfoil.core.subjects.user import owner_of
from counterfoil.postgres.users import one_user
from counterfoil_api.auth.principals import need, reach
from counterfoil_api.handling.reading import Reading

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_KNOWN: Final = 10_000


class Meant(NamedTuple):
    """A user: the owner of their tokens, and what those may do that this caller makes for them."""

    owner: Owner
    scopes: tuple[str, ...]


class _Numbers:
    """Whose number is whose: no user ever gets another one, so most callers' own are looked up once."""

    def __init__(self) -> None:
        self._users: dict[tuple[UUID, int], UUID] = {}

    def know(self, account: UUID, number: int, user: UUID) -> None:
        """Learn of a user, and forget the one that has been known for longest if there are too many."""
        self._users[account, number] = user
        if len(self._users) > _KNOWN:
            del self._users[next(iter(self._users))]

    def are_of(self, asker: Principal, number: int) -> bool:
        """Whether this is known to be the number of the user on whose behalf somebody asks."""
        user = self._users.get((asker.account, number))
        return user is not None and asker.owner == owner_of(user)


_numbers: Final = _Numbers()


async def user_meant(reading: Reading, asker: Principal, number: str, *, scope: str) -> Meant:
    """The user who is meant; who may only do this to their own tokens names nobody else, whether they exist or not.

    Raises ScopeMissing, NotFound.
    """
    within = reach(asker, scope)
    if not _NUMBER.fullmatch(number):
        raise NotFound
    if asker.owner is not None and _numbers.are_of(asker, int(number)):
        return Meant(asker.owner, asker.scopes)
    found = await one_user(reading.pool, asker.account, int(number))
    if within is not None and (found is None or owner_of(found.id) != within):
        need(asker, scope)
    if found is None or found.status == "removed":
        raise NotFound
    owner = owner_of(found.id)
    if owner == asker.owner:
        _numbers.know(asker.account, int(number), found.id)
        return Meant(owner, asker.scopes)
    return Meant(owner, meet(found.held, asker.scopes))
