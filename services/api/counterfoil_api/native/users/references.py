"""References to users: an id, a number, an e-mail address, or `self`."""

import re
from typing import Annotated, Final
from uuid import UUID

from counterfoil.core.principal import Owner, Principal
from counterfoil.core.refusals import BadReference, NotFound, Refuses, ScopeMissing
from counterfoil.core.subjects.user import User, owner_of
from counterfoil.documents.owners import OwnerGiven
from counterfoil.postgres.users import one_user
from counterfoil_api.auth.principals import need
from counterfoil_api.handling.reading import Reading
from counterfoil_api.http.errors import PasswordNeeded
from counterfoil_api.native.tokens.references import GREATEST_NUMBER, NUMBER, SELF
from counterfoil_api.operations.reading import path_type

UserRef = Annotated[
    str,
    path_type(
        "A user's id, their number, their e-mail address, or `self` for the calling user.",
        r"^(self|[1-9][0-9]{0,18}|[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}|[^@/\s:]+@[^@/\s:]+)$",
        "7",
    ),
    Refuses((NotFound, BadReference)),
]
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FORMS: Final = "Name a user by an id, a number such as 2, an e-mail address or the word self."


async def permitted_user(reading: Reading, caller: Principal, ref: str, *, scope: str) -> User:
    """Return the named user, if the caller has the scope.

    Users read themselves without a scope; a token reads its owner if it may read its owner's tokens. A user of another
    account is refused exactly like one that does not exist.
    """
    if caller.lacks(scope):
        # A refusal must not show whether the named user exists.
        found = await _named(reading, caller, ref) if scope == "users.read" and _sees_oneself(caller) else None
        if found is None or caller.owner != owner_of(found.id):
            need(caller, scope)
        else:
            return found
    return await _found(reading, caller, ref)


async def oneself_or_permitted(reading: Reading, caller: Principal, ref: str, *, scope: str) -> User:
    """Return the named user: for oneself a password is needed, for another user the scope."""
    if ref == SELF or (caller.actor.kind == "user" and ref.lower() in (SELF, str(caller.actor.id))):
        return await oneself(reading, caller)
    return await permitted_user(reading, caller, ref, scope=scope)


async def oneself(reading: Reading, caller: Principal) -> User:
    """Return the user who presented a password. Raises PasswordNeeded for tokens."""
    if caller.actor.kind != "user":
        raise PasswordNeeded
    return await _found(reading, caller, SELF)


async def named_user(reading: Reading, caller: Principal, ref: str) -> User | None:
    """Return the named user of the caller's account, also a removed one; None if there is none.

    An e-mail address is personal: callers may use their own, others need the scope users.read.
    """
    try:
        found = await _named(reading, caller, ref)
    except BadReference:  # in a body or a query an invalid reference is no missing path
        return None
    if "@" in ref and caller.lacks("users.read") and (found is None or caller.owner != owner_of(found.id)):
        raise ScopeMissing(
            "Naming another user by e-mail address needs the scope users.read; use the user's id.", scope="users.read"
        )
    return found


async def named_owner(reading: Reading, caller: Principal, given: OwnerGiven) -> Owner | None:
    """Return the requested owner of a token; None for a user that does not exist.

    The door checks whether an id belongs to a user, and the user's status.
    """
    owner = Owner(given.type, given.id)
    if given.type != "user":
        return owner
    if owner.user is not None:
        return owner_of(owner.user)
    found = await named_user(reading, caller, given.id)
    return None if found is None else owner_of(found.id)


async def _found(reading: Reading, caller: Principal, ref: str) -> User:
    found = await _named(reading, caller, ref)
    if found is None:
        raise NotFound
    return found


async def _named(reading: Reading, caller: Principal, ref: str) -> User | None:
    named = _parsed(caller, ref)
    return None if named is None else await one_user(reading.pool, caller.account, named)


def _parsed(caller: Principal, ref: str) -> UUID | int | str | None:
    if ref == SELF:
        return _self_of(caller)
    if (user_id := Owner("user", ref).user) is not None:
        return user_id
    if NUMBER.fullmatch(ref):
        return number if (number := int(ref)) <= GREATEST_NUMBER else None
    if "@" in ref and not _CONTROL.search(ref):
        return ref
    raise BadReference(_FORMS)


def _sees_oneself(caller: Principal) -> bool:
    if caller.owner is None or caller.owner.user is None:
        return False
    return caller.actor.kind == "user" or not caller.lacks("own.read")


def _self_of(caller: Principal) -> UUID:
    if caller.owner is None or caller.owner.user is None:
        raise BadReference("The caller is no user and has no user as its owner, so `self` names none; use a user's id.")
    return caller.owner.user
