"""Ids of tokens in the paths of vendors that use UUIDs."""

from typing import Annotated
from uuid import UUID

from counterfoil.core.credentials import ID, is_id
from counterfoil.core.refusals import NotFound, Refuses
from counterfoil_api.operations.reading import path_type

TokenId = Annotated[
    str,
    path_type("The id of a token.", f"^{ID.pattern}$", "f174e90a-fafe-4643-bbbc-4a0ed4fc8415"),
    Refuses((NotFound,)),
]


def uuid_of(text: str) -> UUID:
    """Return the id in this text. Raises NotFound."""
    if not is_id(text):
        raise NotFound
    return UUID(text)
