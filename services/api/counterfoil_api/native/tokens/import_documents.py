"""What travels when tokens are imported: what is known of them elsewhere, and what became of each here."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.core.imported_secrets import LONGEST, Algorithm
from counterfoil_api.native.documents import (
    Description,
    Given,
    Lifetime,
    MaxUses,
    Metadata,
    Moment,
    Name,
    Networks,
    OwnerGiven,
    RateLimit,
    Scopes,
)

MOST: Final = 1_000


class DigestGiven(Given, frozen=True, kw_only=True):
    """A plain digest of a secret, in hexadecimal or in base64."""

    algorithm: Algorithm
    value: Annotated[str, Meta(max_length=128)]


class TokenFromElsewhere(Given, frozen=True, kw_only=True):
    """A token that its holder goes on using: like one to be issued, with its secret or with a digest of it.

    `created_at` says when it was made elsewhere, and is kept in its metadata; a `lifetime` counts from then. What has
    expired by now is refused.
    """

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
    created_at: Moment | None = None
    secret: Annotated[str, Meta(max_length=LONGEST)] | None = None
    digest: DigestGiven | None = None


class Imports(Given, frozen=True, kw_only=True):
    """Tokens to import; with `dry_run` it is only said what would become of each."""

    tokens: Annotated[tuple[TokenFromElsewhere, ...], Meta(min_length=1, max_length=MOST)]
    dry_run: bool = False


class Imported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one of them: imported, already there as it was given, or refused and why."""

    status: Literal["imported", "already", "refused"]
    token: UUID | None = None
    number: int | None = None
    problem: dict[str, Any] | None = None


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each, in the order in which they were given."""

    imported: int
    already: int
    refused: int
    results: list[Imported]


IMPORTS: Final = Imports(
    tokens=(
        TokenFromElsewhere(
            name="nightly-backup",
            owner=OwnerGiven(type="service", id="backup"),
            scopes=("archive.read",),
            digest=DigestGiven(
                algorithm="sha256", value="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
            ),
        ),
    )
)
