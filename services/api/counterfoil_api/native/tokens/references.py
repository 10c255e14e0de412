"""Which token a path speaks of: an id, a number, or `self`."""

import re
from typing import Annotated, Final
from uuid import UUID

from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadReference, NotFound, Refuses
from counterfoil.postgres.listing import Listed, one
from counterfoil_api.auth.principals import reach
from counterfoil_api.handling.reading import Reading
from counterfoil_api.operations.reading import path_type

SELF: Final = "self"

TokenRef = Annotated[
    str,
    path_type(
        "A token's id, its number, or `self`: the token that asks.",
        "^(self|[1-9][0-9]{0,18}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$",
        "42",
    ),
    Refuses((NotFound, BadReference)),
]
_OWN: Final = frozenset({"tokens.read", "tokens.revoke"})
_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")
_GREATEST_NUMBER: Final = 2**63 - 1


async def permitted(reading: Reading, asker: Principal, ref: str, *, scope: str) -> Listed:
    """The token that is meant, for who holds the scope.

    A token may hold it for itself alone (`self.rotate`); to look at itself and to end itself it needs no scope, but who
    acts in its name does. Who holds it for the tokens of their own owner (`own.rotate`) sees no others.

    A token of another account, or out of reach, is answered exactly like one that never was.
    """
    if is_self(asker, ref) and (
        (scope in _OWN and not asker.delegated) or not asker.lacks(scope.replace("tokens", SELF, 1))
    ):
        return await found(reading, asker, ref)
    within = reach(asker, scope)
    listed = await found(reading, asker, ref)
    if within is not None and listed.token.owner != within:
        raise NotFound
    return listed


def is_self(asker: Principal, ref: str) -> bool:
    """Whether a token speaks of itself."""
    return asker.actor.kind == "token" and ref.lower() in (SELF, str(asker.actor.id))


def is_reference(text: str) -> bool:
    """Whether a text has the form of a reference."""
    return text == SELF or bool(_ID.fullmatch(text) or _NUMBER.fullmatch(text))


async def found(reading: Reading, asker: Principal, ref: str) -> Listed:
    """The token of the asker's account that is meant; whether the asker may do anything with it was asked before."""
    if ref == SELF:
        if asker.actor.kind != "token":
            raise BadReference("The caller is not a token, so `self` names none; use a token's id or number.")
        listed = await one(reading.pool, asker.account, token_id=asker.actor.id)
    elif _ID.fullmatch(ref):
        listed = await one(reading.pool, asker.account, token_id=UUID(ref))
    elif _NUMBER.fullmatch(ref):
        number = int(ref)
        listed = await one(reading.pool, asker.account, number=number) if number <= _GREATEST_NUMBER else None
    else:
        raise BadReference
    if listed is None:
        raise NotFound
    return listed
