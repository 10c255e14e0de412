"""Which user a path speaks of: an id, a number, or `self`."""

import re
from typing import Annotated, Final
from uuid import UUID

from counterfoil.postgres.users import one_user
from counterfoil.principal import Principal
from counterfoil.refusals import BadReference, NotFound
from counterfoil.subjects.user import User
from counterfoil_api.auth.principals import need
from counterfoil_api.edge.complaints import PasswordNeeded
from counterfoil_api.ledger import Ledger
from counterfoil_api.typed.reading import path_type

SELF: Final = "self"
UserRef = Annotated[
    str,
    path_type(
        "A user's id, their number, or `self`: who asks.",
        "^(self|[1-9][0-9]{0,18}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$",
        "7",
    ),
]
_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")
_GREATEST_NUMBER: Final = 2**63 - 1


async def permitted_user(ledger: Ledger, asker: Principal, ref: str, *, scope: str) -> User:
    """The user who is meant, for who holds the scope.

    To look at oneself takes none; a token may look at its owner if it may look at its owner's tokens. A user of
    another account is answered exactly like one who never was.
    """
    if scope != "users.read" or not (is_oneself(asker, ref) or (ref == SELF and not asker.lacks("own.read"))):
        need(asker, scope)
    return await _found(ledger, asker, ref)


def is_oneself(asker: Principal, ref: str) -> bool:
    """Whether somebody who gave their password speaks of themselves."""
    return asker.actor.kind == "user" and ref.lower() in (SELF, str(asker.actor.id))


async def oneself(ledger: Ledger, asker: Principal) -> User:
    """The user who gave their password; no token is good for what this is asked for."""
    if asker.actor.kind != "user":
        raise PasswordNeeded
    return await _found(ledger, asker, SELF)


async def _found(ledger: Ledger, asker: Principal, ref: str) -> User:
    user = None
    if ref == SELF:
        user = await one_user(ledger.readers, asker.account, user_id=_self_of(asker))
    elif _ID.fullmatch(ref):
        user = await one_user(ledger.readers, asker.account, user_id=UUID(ref))
    elif not _NUMBER.fullmatch(ref):
        raise BadReference("A user is named by their id, their number or the word self.")
    elif (number := int(ref)) <= _GREATEST_NUMBER:
        user = await one_user(ledger.readers, asker.account, number=number)
    if user is None:
        raise NotFound
    return user


def _self_of(asker: Principal) -> UUID:
    if asker.owner is None or asker.owner.type != "user" or not _ID.fullmatch(asker.owner.id):
        raise BadReference("Only a user is a self here, or a token that acts on behalf of one.")
    return UUID(asker.owner.id)
