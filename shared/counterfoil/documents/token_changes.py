"""The bodies of requests that issue, change and end tokens."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.documents.fields import (
    _DURATION,
    Description,
    Given,
    Lifetime,
    MaxUses,
    Metadata,
    Moment,
    Name,
    Networks,
    RateLimit,
    Reason,
    Scopes,
    Why,
)
from counterfoil.documents.owners import OwnerGiven
from counterfoil.documents.trusts import TrustGiven


class NewToken(Given, frozen=True, kw_only=True):
    """A token to be issued. Without scopes it may do nothing; without a lifetime it never expires."""

    name: Name
    owner: OwnerGiven | None = None
    description: Description = ""
    scopes: Scopes = ()
    scope_sets: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    metadata: Metadata = msgspec.field(default_factory=dict)
    networks: Networks = ()
    rate_limit: RateLimit | None = None
    max_uses: MaxUses | None = None
    trust: TrustGiven | None = None
    lifetime: Lifetime | None = None
    expires_at: Moment | None = None


class TokenChanges(Given, frozen=True, kw_only=True):
    """What to change; a field that is not there stays as it is."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET
    rate_limit: RateLimit | UnsetType | None = UNSET
    max_uses: MaxUses | UnsetType | None = UNSET
    trust: TrustGiven | UnsetType = UNSET


class Renewal(Given, frozen=True, kw_only=True):
    """A new lifetime from now on; with neither field the token's own lifetime again."""

    lifetime: Lifetime | None = None
    expires_at: Moment | None = None


class Rotation(Given, frozen=True, kw_only=True):
    """How long the previous secret stays good; a lifetime only for a token that has expired."""

    grace: Annotated[
        str,
        Meta(
            description="How long the previous secret stays good, such as 24h; 0s ends it at once.",
            examples=["24h"],
            extra_json_schema={"pattern": _DURATION.replace("forever|", ""), "maxLength": 64},
        ),
    ]
    ends_previous: Annotated[
        bool,
        Meta(
            description="Whether a secret that is still good from an earlier grace ends now: at most two are good at"
            " once. With a grace of 0s it ends in any case."
        ),
    ] = False
    lifetime: Lifetime | None = None
    expires_at: Moment | None = None


class Suspension(Given, frozen=True, kw_only=True):
    """Why, if there is something to say."""

    reason: Reason = ""


class Resumption(Given, frozen=True, kw_only=True):
    """Nothing needs to be said."""


class Revocation(Given, frozen=True, kw_only=True):
    """Why, for those who will ask."""

    reason: Why


class Ending(Revocation, frozen=True, kw_only=True):
    """Why, and whether what it made ends with it; in a dry run nothing is changed."""

    with_children: Annotated[
        bool, Meta(description="Also revoke what it made, what that made, and so on, whenever it was made.")
    ] = False
    dry_run: Annotated[bool, Meta(description="Only show what would end; nothing is changed.")] = False


class Copy(Given, frozen=True, kw_only=True):
    """What is to be different in the copy; everything else is as in the original, but for the secret."""

    name: Name | UnsetType = UNSET
    owner: OwnerGiven | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET
    rate_limit: RateLimit | UnsetType | None = UNSET
    max_uses: MaxUses | UnsetType | None = UNSET
    lifetime: Lifetime | None = None
    expires_at: Moment | None = None
