"""Names of actors: a token's number and name or a user's e-mail address, for callers who may read them."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from msgspec import UNSET

from counterfoil.core.principal import Actor, Principal
from counterfoil.documents.events import ActorDocument
from counterfoil.postgres.names import Named, names_of
from counterfoil_api.handling.reading import Reading

Names = Mapping[UUID, Named]


async def names(reading: Reading, caller: Principal, ids: Iterable[UUID]) -> Names:
    """Return the present names of these tokens and users of the caller's account, in one query.

    Those that the caller may not read, or that do not exist, are omitted.
    """
    return visible(caller, await names_of(reading.pool, caller.account, ids))


def visible(caller: Principal, found: Names) -> Names:
    """Return those that the caller may read."""
    return {each: named for each, named in found.items() if _shown(caller, each, named)}


def actor_document(actor: Actor, known: Names) -> ActorDocument:
    """Return an actor with its name; null if it has none any more."""
    named = known.get(actor.id)
    if named is None or named.kind != actor.kind:
        return ActorDocument(kind=actor.kind, id=actor.id, number=None, name=None)
    return ActorDocument(kind=actor.kind, id=actor.id, number=named.number, name=named.name)


def bare(actor: Actor) -> ActorDocument:
    """Return an actor with the id alone."""
    return ActorDocument(kind=actor.kind, id=actor.id, number=UNSET, name=UNSET)


def _shown(caller: Principal, one: UUID, named: Named) -> bool:
    if one == caller.actor.id:
        return True
    if named.kind == "user":
        return not caller.lacks("users.read") or (caller.owner is not None and caller.owner.user == one)
    own = named.owner == caller.owner and not caller.lacks("own.read")
    return own or not caller.lacks("tokens.read")
