"""The tokens that a token or a user created: counted when their creator ends, and revoked with it on request."""

from dataclasses import dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from counterfoil.core.principal import Owner, Principal
from counterfoil.core.subjects.bulk_revocation import Children
from counterfoil.core.subjects.subject import Command
from counterfoil.core.unit_of_work import AllOrNothing
from counterfoil.documents.token_changes import Ending
from counterfoil.documents.tokens import ChildrenDocument
from counterfoil.postgres.descent import children_of
from counterfoil.postgres.listing import Filter
from counterfoil.postgres.selection import look
from counterfoil_api.auth.principals import is_for, reach
from counterfoil_api.handling.reading import Reading
from counterfoil_api.native.tokens.bulk import staged
from counterfoil_api.native.tokens.bulk_showing import sample

_SCOPE = "tokens.revoke"


@dataclass(frozen=True, slots=True)
class Creator:
    """The creator that ends; `ref` is its value in the filter `creator`.

    The tokens that `itself` owns end with it anyway.
    """

    id: UUID
    ref: str
    itself: Owner | None = None


async def preview(reading: Reading, caller: Principal, creator: Creator, body: Ending) -> ChildrenDocument:
    """Return what would end with it, or what stays valid. Raises ScopeMissing for callers without a revoke scope."""
    if body.with_children:
        children = Children(made_by=creator.id, owner=reach(caller, _SCOPE))
        async with reading.turn():
            found = await look(
                reading.pool, caller.account, Filter(creator=creator.id), itself=caller.actor.id, children=children
            )
        if not is_for(caller, children.owner):
            reading.access_log.note(caller, "list", rows=len(found.used_last))
        return ChildrenDocument(ending=found.tokens, left_alone=found.left_alone, sample=tuple(sample(found)))
    within = caller.owner if caller.lacks(_SCOPE) else None
    living = await children_of(reading.pool, caller.account, creator.id, owner=within, but=creator.itself)
    return ChildrenDocument(living=living, list=f"/v1/tokens?creator={creator.ref}")


async def end_with_children(
    reading: Reading, caller: Principal, creator: Creator, body: Ending, ends: Command
) -> tuple[AllOrNothing, ChildrenDocument]:
    """Return a command that ends the creator and starts a revocation for all that it created, with the present count.

    Both are accepted, or neither. From then on it creates nothing, and the bulk revocation ends when nothing is left.
    """
    children = Children(made_by=creator.id, owner=reach(caller, _SCOPE))
    revocation, left_alone = await staged(
        reading, caller, Filter(creator=creator.id), children, revocation_id=uuid7(), reason=body.reason
    )
    document = ChildrenDocument(ending=revocation.total, left_alone=left_alone, revocation=revocation.id)
    return AllOrNothing((ends, revocation)), document
