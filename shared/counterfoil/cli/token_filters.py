"""The filters of `token list` and `token revoke-many`."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from counterfoil.cli import options
from counterfoil.cli.commands import Options
from counterfoil.cli.completion import token_names
from counterfoil.cli.options import CreatorFilter, OwnerFilter, time_filter
from counterfoil.core import glob


class TokenFilters(Options, frozen=True, kw_only=True):
    """The tokens that a command is about."""

    owner: OwnerFilter = None
    creator: CreatorFilter = None
    issuer: Annotated[
        str | None, typer.Option(metavar="URL", help="Only tokens that trust the JWTs of this issuer.")
    ] = None
    name: Annotated[str | None, typer.Option(help=glob.MEANING, autocompletion=token_names)] = None
    scope: Annotated[str | None, typer.Option(help="Only tokens with this scope.")] = None
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only tokens with it; may be repeated.")
    ] = None
    unused_since: Annotated[
        str | None,
        typer.Option(
            "--unused-for",
            parser=options.span,
            metavar="DURATION",
            help="Only older tokens that were not used for so long: 90d.",
        ),
    ] = None
    created_after: Annotated[str | None, time_filter("--created-after", "From then on; 7d: from 7 days ago on.")] = None
    created_before: Annotated[str | None, time_filter("--created-before", "Before then; 7d: over 7 days ago.")] = None
    expires_after: Annotated[str | None, time_filter("--expires-after", "From then on; 7d: in 7 days or later.")] = None
    expires_before: Annotated[
        str | None, time_filter("--expires-before", "Before then; 7d: within 7 days, or past.")
    ] = None

    def stated(self, **more: str | bool | None) -> dict[str, str | bool | list[str]]:
        """Return these filters and others as the ledger names them, without those that are None."""
        given = {**msgspec.structs.asdict(self), **more}
        if (owner := options.owner(given.pop("owner"))) is not None:
            given |= {"owner_type": owner[0], "owner_id": owner[1]}
        return {name: value for name, value in given.items() if value is not None}
