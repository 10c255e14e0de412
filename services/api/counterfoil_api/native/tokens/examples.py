"""Examples for the OpenAPI document. They are typed, so they always fit the types."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from counterfoil.documents.bearers import BearerDocument, ExchangeRequest
from counterfoil.documents.events import ActorDocument
from counterfoil.documents.imports import DigestGiven, Imports, TokenFromElsewhere
from counterfoil.documents.owners import OwnerDocument, OwnerGiven
from counterfoil.documents.token_changes import (
    Confirmation,
    Ending,
    GraceExtension,
    NewToken,
    Renewal,
    Rotation,
    Suspension,
    TokenChanges,
)
from counterfoil.documents.tokens import Issued, TokenDocument, TokenPage

_CREATED_AT: Final = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
_ID: Final = UUID("019ca8c1-7b40-7000-8000-3f2a9c51d7e4")

NEW_TOKEN: Final = NewToken(
    name="nightly-backup",
    owner=OwnerGiven(type="service", id="backup"),
    description="Copies the archive every night.",
    scopes=("archive.read", "archive.copy"),
    metadata={"team": "storage"},
    lifetime="90d",
)
CHANGES: Final = TokenChanges(scopes=("archive.read",))
RENEWAL: Final = Renewal(lifetime="30d")
ROTATION: Final = Rotation(grace="24h")
CONFIRMATION: Final = Confirmation()
EXTENSION: Final = GraceExtension(grace="72h")
SUSPENSION: Final = Suspension(reason="The backup host is being rebuilt.")
REVOCATION: Final = Ending(reason="The backup host was retired.")
TOKEN: Final = TokenDocument(
    id=_ID,
    number=42,
    account=UUID("019ca8be-1f00-7000-8000-5d1f60a7c233"),
    owner=OwnerDocument("service", "backup"),
    creator=ActorDocument(
        kind="user", id=UUID("019ca8be-1f10-7000-8000-0b7e44d2a961"), number=2, name="ada@example.org"
    ),
    name="nightly-backup",
    description="Copies the archive every night.",
    scopes=("archive.read", "archive.copy"),
    effective_scopes=("archive.read", "archive.copy"),
    metadata={"team": "storage"},
    networks=("192.0.2.0/24",),
    rate_limit=None,
    max_uses=None,
    uses_left=None,
    trust=None,
    trust_by=None,
    status="active",
    refused=None,
    lifetime="90d",
    expires_at=datetime(2026, 5, 30, 9, 30, tzinfo=UTC),
    created_at=_CREATED_AT,
    updated_at=_CREATED_AT,
    last_exchanged_at=None,
    last_used_at=None,
    generation=1,
    previous_secret_until=None,
    hint="cfl_service_4dQp…",
    revision=1,
    reason=None,
    dialect="native",
)
ISSUED: Final = Issued(token=TOKEN, secret="cfl_service_4dQp…")  # noqa: S106 - nobody's
TOKENS: Final = TokenPage(items=[TOKEN], next_cursor=None)
EXCHANGE: Final = ExchangeRequest(audience="https://archive.example.org", scopes=("archive.read",))
BEARER: Final = BearerDocument(
    access_token="eyJ…",  # noqa: S106 - nobody's
    expires_in=3600,
    scope="archive.read",
    jti=_ID,
)
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
