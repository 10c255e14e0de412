"""The options of a trust, and their parser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from counterfoil.client import Trust

TrustIssuer = Annotated[
    str | None,
    typer.Option(
        "--trust-issuer",
        metavar="URL",
        help="In place of a secret: the issuer of its JWTs, such as https://token.actions.githubusercontent.com.",
    ),
]
TrustAudience = Annotated[str | None, typer.Option("--trust-audience", metavar="AUDIENCE", help="The aud of the JWTs.")]
TrustClaims = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-claim",
        metavar="CLAIM=GLOB",
        help="What a claim must be, such as repository=acme/app; may be repeated, and for one claim means any of them.",
    ),
]
Once = Annotated[bool, typer.Option("--once", help="Accept each JWT once, by its jti.")]


def trust(issuer: str | None, audience: str | None, claims: Sequence[str] | None, *, once: bool) -> Trust | None:
    """Return the trust that the options state; None if they state none."""
    if issuer is None and audience is None and not claims and not once:
        return None
    if not issuer or not audience or not claims:
        raise typer.BadParameter("A trust takes all three: --trust-issuer, --trust-audience and --trust-claim.")
    wanted: dict[str, tuple[str, ...]] = {}
    for pair in claims:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is no CLAIM=GLOB; write it like repository=acme/app.")
        wanted[name] = (*wanted.get(name, ()), value)
    return Trust(issuer=issuer, audience=audience, claims=wanted, once=once)
