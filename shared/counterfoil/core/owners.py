"""Owners as commands name them, in the one spelling that is stored."""

from __future__ import annotations

import re
from typing import Final

from counterfoil.core import secret
from counterfoil.core.principal import Owner
from counterfoil.core.refusals import BadOwner

_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def checked_owner(owner: Owner) -> Owner:
    """Return the owner, a user's id in its one spelling, or raise BadOwner: no other could be found by its user."""
    if not _ID.fullmatch(owner.id) or secret.stands_in(owner.id):
        raise BadOwner(
            "An owner's id has 1 to 128 of the characters A-Z a-z 0-9 . _ : - and is no personal data and no secret;"
            " write one such as billing.",
            field="owner.id",
        )
    return spelt(owner)


def can_be(owner: Owner) -> bool:
    """Say whether this may be an owner; if not (it could be a pasted secret), it must not reach the database."""
    try:
        checked_owner(owner)
    except BadOwner:
        return False
    return True


def spelt(owner: Owner) -> Owner:
    """Return the owner, a user's id in its one spelling."""
    return owner if owner.user is None else Owner("user", str(owner.user))
