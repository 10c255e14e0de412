"""The state of a token's last rotation as callers read it."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class NetworkDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A network from which the previous secret was used since the rotation."""

    network: Annotated[
        str,
        Meta(
            description="A /24 of IPv4 or a /64 of IPv6, never a whole address; `other` is all beyond the first 50."
            " With introspection it is the network of the service that asks.",
            examples=["203.0.113.0/24"],
        ),
    ]
    uses: int
    last_used_at: datetime | None
    moved: Annotated[
        bool,
        Meta(description="Whether it has used only the new secret since, and for a while; what has not will break."),
    ]


class PreviousSecretDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The secret before the present one, and its uses since the rotation, exact to the second."""

    hint: Annotated[str, Meta(description="How it begins.")]
    good_until: Annotated[datetime | None, Meta(description="Null if it has ended.")]
    uses: int
    last_used_at: datetime | None
    networks: Annotated[tuple[NetworkDocument, ...], Meta(description="The most used first.")]


class NewSecretDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The present secret, and whether the rotation is proven by a use of it."""

    hint: Annotated[str, Meta(description="How it begins.")]
    used: bool
    last_used_at: datetime | None


class RotationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The last rotation of a token; `rotated_at` and `previous` are null if it was never rotated."""

    rotated_at: datetime | None
    generation: int
    previous: PreviousSecretDocument | None
    present: NewSecretDocument
