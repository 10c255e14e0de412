"""The options of a trust, and their parser."""

from __future__ import annotations

from typing import Annotated

import typer

from counterfoil.cli.commands import Options
from counterfoil.client import Trust


class TrustOptions(Options, frozen=True, kw_only=True):
    """The trust that takes the place of a secret."""

    trust_issuer: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="In place of a secret: the issuer of its JWTs, such as https://token.actions.githubusercontent.com.",
        ),
    ] = None
    trust_audience: Annotated[str | None, typer.Option(metavar="AUDIENCE", help="The aud of the JWTs.")] = None
    trust_claim: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLAIM=GLOB",
            help="What a claim must be, such as repository=acme/app; may be repeated, and for one claim means any of"
            " them.",
        ),
    ] = None
    once: Annotated[bool, typer.Option("--once", help="Accept each JWT once, by its jti.")] = False

    def stated(self) -> Trust | None:
        """Return the trust that the options state; None if they state none."""
        if not (self.trust_issuer or self.trust_audience or self.trust_claim or self.once):
            return None
        if not (self.trust_issuer and self.trust_audience and self.trust_claim):
            raise typer.BadParameter("A trust takes all three: --trust-issuer, --trust-audience and --trust-claim.")
        claims: dict[str, tuple[str, ...]] = {}
        for pair in self.trust_claim:
            name, equals, value = pair.partition("=")
            if not equals:
                raise typer.BadParameter(f"{pair!r} is no CLAIM=GLOB; write it like repository=acme/app.")
            claims[name] = (*claims.get(name, ()), value)
        return Trust(issuer=self.trust_issuer, audience=self.trust_audience, claims=claims, once=self.once)
