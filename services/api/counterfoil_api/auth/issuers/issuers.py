"""The OIDC issuers that tokens trust, as one API process knows them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from counterfoil.settings import Settings
from counterfoil_api.edge.complaints import IssuerUnavailable


class Issuers:
    """Verifies JWTs with the keys of the issuer that a token names; a JWT itself never says whose keys are fetched."""

    async def verified(self, text: str, *, issuer: str, audience: str, at: datetime) -> Mapping[str, object]:
        """Return the claims of a JWT that this issuer signed for this audience, and that is good at this moment.

        Raises AssertionRefused for every other JWT, and IssuerUnavailable if the issuer's keys cannot be had.
        """
        _ = text, issuer, audience, at
        raise IssuerUnavailable


@asynccontextmanager
async def open_issuers(settings: Settings) -> AsyncIterator[Issuers]:  # noqa: ARG001 - the rules of egress are in it
    """Open what the issuers' keys are fetched with."""
    yield Issuers()
