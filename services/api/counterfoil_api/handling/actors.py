"""By whom, in words: a token's number and name or a user's e-mail address beside the id, for who may see them."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from msgspec import UNSET

from counterfoil.core.principal import Actor, Principal
from counterfoil.documents.events import ActorDocument
from counterfoil.postgres.names import Named, names_of
from counterfoil_api.handling.reading import Reading

Names = Mapping[UUID, Named]


async def names(reading: Reading, asker: Principal, ids: Iterable[UUID]) -> Names:
    """The tokens and users of the asker's account with these ids, as they are called now; one query for all of them.

    Each is known to who may look at it: the others are left out, like those that are gone.
    """
    return visible(asker, await names_of(reading.pool, asker.account, ids))


def visible(asker: Principal, found: Names) -> Names:
    """Those of these that the asker may look at."""
    return {each: named for each, named in found.items() if _shown(asker, each, named)}


def actor_document(actor: Actor, known: Names) -> ActorDocument:
    """Who did something, with what they are called; null where nobody is called so any more."""
    named = known.get(actor.id)
    if named is None or named.kind != actor.kind:
        return ActorDocument(kind=actor.kind, id=actor.id, number=None, name=None)
    return ActorDocument(kind=actor.kind, id=actor.id, number=named.number, name=named.name)


def bare(actor: Actor) -> ActorDocument:
    """Who did something, by the id alone."""
    return ActorDocument(kind=actor.kind, id=actor.id, number=UNSET, name=UNSET)


def _shown(asker: Principal, one: UUID, named: Named) -> bool:
    if one == asker.actor.id:
        return True
    if named.kind == "user":
        return not asker.lacks("users.read") or (asker.owner is not None and asker.owner.user == one)
    own = named.owner == asker.owner and not asker.lacks("own.read")
    return own or not asker.lacks("tokens.read")
