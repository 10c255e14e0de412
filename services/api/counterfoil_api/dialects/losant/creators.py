"""Creators of tokens as Losant shows them: users and tokens."""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from msgspec import UNSET

from counterfoil.core.opaque_ids import OpaqueIds
from counterfoil.core.principal import Actor, Principal
from counterfoil.postgres.names import Named, names_of
from counterfoil_api.dialects.losant.documents import TOKEN, USER, Creator
from counterfoil_api.handling.actors import visible
from counterfoil_api.handling.reading import Reading
from counterfoil_api.limits.expiring_map import ExpiringMap

_MOST: Final = 10_000
_NAME_SECONDS: Final = 60.0
"""How long a cached name is shown after a change."""
_known_callers: Final[ExpiringMap[tuple[UUID, UUID], Creator]] = ExpiringMap(_MOST)


async def calling_creator(reading: Reading, caller: Principal) -> Mapping[UUID, Creator]:
    """Return the caller as a creator. Callers may always see their own name, so it is cached."""
    known = _known_callers.get((caller.account, caller.actor.id))
    if known is not None:
        return {caller.actor.id: known}
    found = await creators(reading, caller, (caller.actor,))
    if caller.actor.id in found:
        _known_callers.keep((caller.account, caller.actor.id), found[caller.actor.id], _NAME_SECONDS)
    return found


async def creators(reading: Reading, caller: Principal, actors: Iterable[Actor]) -> Mapping[UUID, Creator]:
    """Return these actors as creators, by their ids in the ledger; deleted ones are omitted.

    Everybody sees a creator's id, as in the native API, but the name only with the right to read that user or token.
    The user of a login is the creator of what its token created.
    """
    found = await names_of(reading.pool, caller.account, (each.id for each in actors))
    users = {each: named.owner.user for each, named in found.items() if named.session and named.owner is not None}
    behind = await names_of(reading.pool, caller.account, (user for user in users.values() if user is not None))
    seen = visible(caller, found | behind)
    made: dict[UUID, Creator] = {}
    for each in found:
        one = users.get(each) or each
        if named := (found | behind).get(one):
            made[each] = _creator(reading.opaque_ids, caller.account, named, with_name=one in seen)
    return made


def _creator(ids: OpaqueIds, account: UUID, named: Named, *, with_name: bool) -> Creator:
    return Creator(
        type="apiToken" if named.kind == "token" else "user",
        id=ids.number24(TOKEN if named.kind == "token" else USER, account, named.number),
        name=named.name if with_name and named.name else UNSET,
    )
