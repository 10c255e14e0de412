"""References to tokens: an id, a number, or `self`."""

import re
from typing import Annotated, Final
from uuid import UUID

from counterfoil.core.credentials import ID, is_id
from counterfoil.core.principal import Principal
from counterfoil.core.refusals import BadReference, NotFound, Refuses
from counterfoil.postgres.listing import Listed, one
from counterfoil_api.auth.principals import reach
from counterfoil_api.handling.reading import Reading
from counterfoil_api.operations.reading import path_type

SELF: Final = "self"
TOKEN_PATTERN: Final = f"^(self|[1-9][0-9]{{0,18}}|{ID.pattern})$"

TokenRef = Annotated[
    str,
    path_type("A token's id, its number, or `self` for the calling token.", TOKEN_PATTERN, "42"),
    Refuses((NotFound, BadReference)),
]
_OWN: Final = frozenset({"tokens.read", "tokens.revoke"})
NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")
GREATEST_NUMBER: Final = 2**63 - 1


async def permitted(reading: Reading, caller: Principal, ref: str, *, scope: str) -> Listed:
    """Return the named token, if the caller has the scope for it.

    `self.rotate` is the scope for the calling token alone, `own.rotate` for the tokens of the caller's owner. To read
    and to revoke itself a token needs no scope, but a delegated bearer token does.

    A token of another account, or out of reach, is refused exactly like one that does not exist.
    """
    if is_self(caller, ref) and (
        (scope in _OWN and not caller.delegated) or not caller.lacks(scope.replace("tokens", SELF, 1))
    ):
        return await found(reading, caller, ref)
    within = reach(caller, scope)
    listed = await found(reading, caller, ref)
    if within is not None and listed.token.owner != within:
        raise NotFound
    return listed


def is_self(caller: Principal, ref: str) -> bool:
    """Say whether the calling token refers to itself."""
    return caller.actor.kind == "token" and ref.lower() in (SELF, str(caller.actor.id))


def is_reference(text: str) -> bool:
    """Say whether a text has the form of a reference."""
    return text == SELF or is_id(text) or NUMBER.fullmatch(text) is not None


async def found(reading: Reading, caller: Principal, ref: str) -> Listed:
    """Return the named token of the caller's account; the caller's scopes are checked elsewhere."""
    if ref == SELF:
        if caller.actor.kind != "token":
            raise BadReference("The caller is not a token, so `self` names none; use a token's id or number.")
        listed = await one(reading.pool, caller.account, token_id=caller.actor.id)
    elif is_id(ref):
        listed = await one(reading.pool, caller.account, token_id=UUID(ref))
    elif NUMBER.fullmatch(ref):
        number = int(ref)
        listed = await one(reading.pool, caller.account, number=number) if number <= GREATEST_NUMBER else None
    else:
        raise BadReference
    if listed is None:
        raise NotFound
    return listed
