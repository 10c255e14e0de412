"""The owner of a token: the user, application or service that the token acts for."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from counterfoil.core.refusals import BadOwner, Refuses, UnknownUser
from counterfoil.documents.fields import Given


class OwnerGiven(Given, frozen=True, kw_only=True):
    """The owner of the token: a user of the account, or an application or a service under a name of yours."""

    type: Literal["user", "application", "service"]
    id: Annotated[
        str,
        Meta(
            description="A user's id, number, e-mail address or `self`; else 1 to 128 of A-Z a-z 0-9 . _ : -",
            extra_json_schema={"pattern": r"^([A-Za-z0-9._:-]{1,128}|[^@\s:]+@[^@\s:]+)$", "maxLength": 255},
        ),
        Refuses((BadOwner, UnknownUser)),
    ]


class OwnerDocument(msgspec.Struct, frozen=True):
    """The owner of a token: the user, application or service that the token acts for."""

    type: str
    id: str
