"""Trusts: whose JWTs open a token in place of a secret."""

from typing import Annotated

import msgspec
from msgspec import Meta

from counterfoil.core import trust
from counterfoil.core.refusals import (
    BadTrust,
    Refuses,
)
from counterfoil.documents.fields import Given, TrustedValue


class TrustGiven(Given, frozen=True, kw_only=True):
    """In place of a secret: whose JWTs open the token, for which audience, and what their claims must say."""

    issuer: Annotated[
        str,
        Meta(
            description="What the JWT has as `iss`; its keys are found by OpenID Connect Discovery.",
            examples=["https://token.actions.githubusercontent.com"],
            extra_json_schema={"pattern": trust.ISSUER, "maxLength": 255},
        ),
        Refuses((BadTrust,)),
    ]
    audience: Annotated[
        str,
        Meta(description="What the JWT has in `aud`.", extra_json_schema={"pattern": trust.VISIBLE, "maxLength": 255}),
    ]
    claims: Annotated[
        dict[str, TrustedValue | tuple[TrustedValue, ...]],
        Meta(
            description="For each claim the values of which one has to fit. Nested claims are named with dots.",
            examples=[{"repository": ["acme/app"], "ref": ["refs/heads/main"]}],
            extra_json_schema={
                "minProperties": 1, "maxProperties": trust.CONDITION_LIMIT, "propertyNames": {"pattern": trust.VISIBLE},
            },
        ),
    ]  # fmt: skip
    once: Annotated[bool, Meta(description="Whether each JWT, known by its `jti`, is accepted once.")] = False

    @property
    def trust(self) -> trust.Trust:
        """What the ledger keeps."""
        claims = {name: (said,) if isinstance(said, str) else said for name, said in self.claims.items()}
        return trust.Trust(issuer=self.issuer, audience=self.audience, claims=claims, once=self.once)


class TrustDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What opens a token that has no secret."""

    issuer: str
    audience: str
    claims: dict[str, tuple[str, ...]]
    once: bool
