"""The account and its policy."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from counterfoil.documents.fields import Given, Lifetime, Name, Span

Network = Annotated[str, Meta(max_length=64, examples=["192.0.2.0/24"])]


class PolicyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of an account: lifetimes, notices before an expiry, and the networks it is used from.

    No rule is retroactive: longer-lived tokens keep their expiry. `notices` null means those of
    the installation, an empty `networks` means from anywhere. With `catalogue_closed`, scopes that are not
    Counterfoil's own are granted only if the catalogue describes them.
    """

    max_lifetime: Lifetime | None = None
    default_lifetime: Lifetime | None = None
    notices: tuple[Span, ...] | None = None
    networks: tuple[Network, ...] = ()
    catalogue_closed: bool = False


class PolicyGiven(PolicyDocument, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy to set; a missing rule is removed."""


class AccountDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An account. At `valid_after` all its secrets were revoked; only newer ones are accepted."""

    id: UUID
    name: str | None
    parent: UUID | None
    policy: PolicyDocument
    valid_after: datetime | None
    created_at: datetime
    updated_at: datetime
    revision: int


class AccountChanges(Given, frozen=True, kw_only=True):
    """The fields to change; the policy is replaced as a whole. `shut_me_out` allows networks without your address."""

    name: Name | UnsetType = UNSET
    policy: PolicyGiven | UnsetType = UNSET
    shut_me_out: bool = False
