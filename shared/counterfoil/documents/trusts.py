"""Trusts: JWTs of an issuer authenticate a token in place of a secret."""

from typing import Annotated

import msgspec
from msgspec import Meta

from counterfoil.core import trust
from counterfoil.core.refusals import BadTrust, Refuses
from counterfoil.documents.fields import Given, TrustedValue


class TrustGiven(Given, frozen=True, kw_only=True):
    """In place of a secret: the issuer of the JWTs that authenticate the token, their audience, and their claims."""

    issuer: Annotated[
        str,
        Meta(
            description="The `iss` of the JWT; OpenID Connect Discovery finds its keys.",
            examples=["https://token.actions.githubusercontent.com"],
            extra_json_schema={"pattern": trust.ISSUER, "maxLength": 255},
        ),
        Refuses((BadTrust,)),
    ]
    audience: Annotated[
        str,
        Meta(
            description="A value in the `aud` of the JWT.",
            extra_json_schema={"pattern": trust.VISIBLE, "maxLength": 255},
        ),
    ]
    claims: Annotated[
        dict[str, TrustedValue | tuple[TrustedValue, ...]],
        Meta(
            description="For each claim, globs of which one must match. Names of nested claims have dots.",
            examples=[{"repository": ["acme/app"], "ref": ["refs/heads/main"]}],
            extra_json_schema={
                "minProperties": 1, "maxProperties": trust.CONDITION_LIMIT, "propertyNames": {"pattern": trust.VISIBLE},
            },
        ),
    ]  # fmt: skip
    once: Annotated[bool, Meta(description="Accept each JWT only once, by its `jti`.")] = False

    @property
    def trust(self) -> trust.Trust:
        """The trust as the core has it."""
        claims = {name: (values,) if isinstance(values, str) else values for name, values in self.claims.items()}
        return trust.Trust(issuer=self.issuer, audience=self.audience, claims=claims, once=self.once)


class TrustDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The trust of a token that has no secret."""

    issuer: str
    audience: str
    claims: dict[str, tuple[str, ...]]
    once: bool
