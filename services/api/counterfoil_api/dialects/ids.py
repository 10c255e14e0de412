"""Ids of tokens in the paths of vendors that use UUIDs."""

import re
from typing import Annotated, Final
from uuid import UUID

from counterfoil.core.refusals import NotFound, Refuses
from counterfoil_api.operations.reading import path_type

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TokenId = Annotated[
    str,
    path_type("The id of a token.", f"^{_UUID.pattern}$", "f174e90a-fafe-4643-bbbc-4a0ed4fc8415"),
    Refuses((NotFound,)),
]


def uuid_of(text: str) -> UUID:
    """Return the id in this text. Raises NotFound."""
    if not _UUID.fullmatch(text):
        raise NotFound
    return UUID(text)
