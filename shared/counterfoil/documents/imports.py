"""Imports of tokens from another system: the request and the report."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from counterfoil.core.imported_secrets import LONGEST, Algorithm
from counterfoil.documents.fields import Given, Moment, one_of
from counterfoil.documents.token_changes import TokenFields

MOST: Final = 1_000


class DigestGiven(Given, frozen=True, kw_only=True):
    """A plain digest of a secret, in hexadecimal or in base64."""

    algorithm: Algorithm
    value: Annotated[str, Meta(max_length=128)]


class TokenFromElsewhere(TokenFields, frozen=True, kw_only=True):
    """A token of another system that its holder keeps using: as for a new token, with its secret or a digest of it.

    `created_at` is when the other system made it, and is kept in its metadata; a `lifetime` counts from then. A token
    that has expired by now is refused.
    """

    created_at: Moment | None = None
    secret: Annotated[str, Meta(max_length=LONGEST)] | None = None
    digest: DigestGiven | None = None


class Imports(Given, frozen=True, kw_only=True):
    """Tokens to import; with `dry_run` the report only predicts the results."""

    tokens: Annotated[tuple[TokenFromElsewhere, ...], Meta(min_length=1, max_length=MOST)]
    dry_run: bool = False


class Imported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result for one token: imported, already there, or refused with a problem."""

    status: Annotated[str, one_of("imported", "already", "refused")]
    token: UUID | None = None
    number: int | None = None
    problem: dict[str, Any] | None = None


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result for each token, in the order of the request."""

    imported: int
    already: int
    refused: int
    results: list[Imported]
