"""The bodies of requests that issue, change and revoke tokens."""

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


class TokenFields(Given, frozen=True, kw_only=True):
    """The fields of a token that somebody issues or imports."""

    name: Name
    owner: OwnerGiven | None = None
    description: Description = ""
    scopes: Scopes = ()
    metadata: Metadata = msgspec.field(default_factory=dict)
    networks: Networks = ()
    rate_limit: RateLimit | None = None
    max_uses: MaxUses | None = None
    lifetime: Lifetime | None = None
    expires_at: Moment | None = None


class NewToken(TokenFields, frozen=True, kw_only=True):
    """A token to issue. Without scopes it may do nothing; without a lifetime it never expires."""

    scope_sets: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    trust: TrustGiven | None = None


class FieldsToChange(Given, frozen=True, kw_only=True):
    """The fields of a token that may differ; a missing field stays as it is."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET
    rate_limit: RateLimit | UnsetType | None = UNSET
    max_uses: MaxUses | UnsetType | None = UNSET


class TokenChanges(FieldsToChange, frozen=True, kw_only=True):
    """The fields to change; a missing field stays as it is."""

    trust: TrustGiven | UnsetType = UNSET


class Renewal(Given, frozen=True, kw_only=True):
    """A new lifetime, counted from now; without either field, the token's own lifetime."""

    lifetime: Lifetime | None = None
    expires_at: Moment | None = None
    keeps_lifetime: Annotated[
        bool, Meta(description="With `expires_at`: the token's own lifetime stays for later renewals.")
    ] = False


class Rotation(Given, frozen=True, kw_only=True):
    """The grace of the previous secret; a lifetime only for a token that has expired."""

    grace: Annotated[
        str,
        Meta(
            description="How long the previous secret is still accepted, such as 24h; 0s ends it at once.",
            examples=["24h"],
            extra_json_schema={"pattern": _DURATION.replace("forever|", ""), "maxLength": 64},
        ),
    ]
    ends_previous: Annotated[
        bool,
        Meta(
            description="End a secret from an earlier grace now: at most two secrets are accepted at"
            " once. With a grace of 0s it ends in any case."
        ),
    ] = False
    lifetime: Lifetime | None = None
    expires_at: Moment | None = None


class Confirmation(Given, frozen=True, kw_only=True):
    """Whether to end the previous secret even if the new one was never used."""

    even_if_unused: Annotated[
        bool, Meta(description="Needed while the new secret was never used: nothing may work afterwards.")
    ] = False


class GraceExtension(Given, frozen=True, kw_only=True):
    """The longer grace of the previous secret."""

    grace: Annotated[
        str,
        Meta(
            description="How long the previous secret is accepted from now on, such as 24h; longer than at present.",
            examples=["24h"],
            extra_json_schema={"pattern": _DURATION.replace("forever|", ""), "maxLength": 64},
        ),
    ]


class Suspension(Given, frozen=True, kw_only=True):
    """An optional reason."""

    reason: Reason = ""


class Resumption(Given, frozen=True, kw_only=True):
    """An empty body."""


class Revocation(Given, frozen=True, kw_only=True):
    """The reason, for the log."""

    reason: Why


class Ending(Revocation, frozen=True, kw_only=True):
    """The reason, and whether to revoke what it made; a dry run changes nothing."""

    with_children: Annotated[bool, Meta(description="Also revoke the tokens that it made, at any depth.")] = False
    dry_run: Annotated[bool, Meta(description="Only show what would be revoked; nothing is changed.")] = False


class Copy(FieldsToChange, frozen=True, kw_only=True):
    """The fields that differ in the copy; its secret differs in any case."""

    owner: OwnerGiven | UnsetType = UNSET
    lifetime: Lifetime | None = None
    expires_at: Moment | None = None
