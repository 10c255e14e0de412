"""`counterfoil owner-quota`: limits on all tokens of an owner together."""

from __future__ import annotations

from typing import Annotated

import typer

from counterfoil.cli import options
from counterfoil.cli.calls import ask
from counterfoil.cli.display import facts
from counterfoil.cli.lists import listed
from counterfoil.cli.options import AsJson, Credentials, IfMatch, Limit
from counterfoil.cli.output import say_json
from counterfoil.cli.tables import table
from counterfoil.client import OwnerQuota

app = typer.Typer(help="Limits on the uses and the number of all tokens of an owner.", no_args_is_help=True)

OwnerRef = Annotated[
    str,
    typer.Option("--owner", metavar="TYPE:ID", help="The owner, such as service:backup, application:shop or user:2."),
]


@app.command("list")
def quotas(*, limit: Limit = None, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """List the quotas of owners."""
    listed(
        lambda ledger, most: ledger.owner_quotas(limit=most),
        lambda found: table(("owner", "rate limit", "uses", "tokens"), map(_row, found)),
        limit, credentials, as_json=as_json,
    )  # fmt: skip


@app.command()
def show(*, owner: OwnerRef, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Show the quota of an owner, and what is left of it."""
    whose = options.stated_owner(owner)
    _shown(ask(lambda ledger: ledger.owner_quota(whose), credentials=credentials, as_json=as_json), as_json=as_json)


@app.command("set")
def set_quota(
    *,
    owner: OwnerRef,
    rate_limit: Annotated[
        str | None, typer.Option(metavar="N/DURATION", help="Calls with all the owner's tokens, such as 6000/1m.")
    ] = None,
    max_uses: Annotated[int | None, typer.Option(metavar="N", help="Uses of all the owner's tokens.")] = None,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", help="Tokens that live at a time.")] = None,
    if_match: IfMatch = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Give an owner a quota in place of any other; what is not stated is any number."""
    whose = options.stated_owner(owner)
    _shown(
        ask(
            lambda ledger: ledger.set_owner_quota(
                whose, rate_limit=rate_limit, max_uses=max_uses, max_tokens=max_tokens, if_match=if_match
            ),
            credentials=credentials, as_json=as_json,
        ),
        as_json=as_json,
    )  # fmt: skip


@app.command()
def lift(
    *, owner: OwnerRef, if_match: IfMatch = None, credentials: Credentials = None, as_json: AsJson = False
) -> None:
    """Take the quota of an owner away."""
    whose = options.stated_owner(owner)
    _shown(
        ask(
            lambda ledger: ledger.lift_owner_quota(whose, if_match=if_match),
            credentials=credentials, as_json=as_json,
        ),
        as_json=as_json,
    )  # fmt: skip


def _shown(found: OwnerQuota, *, as_json: bool) -> None:
    if as_json:
        say_json(found)
    else:
        facts(list(zip(("owner", "rate limit", "uses", "live tokens"), _row(found), strict=True)))


def _row(found: OwnerQuota) -> tuple[str, str, str, str]:
    uses = "any number" if found.max_uses is None else f"at most {found.max_uses}, {found.uses_left} left"
    tokens = f"{found.tokens}" if found.max_tokens is None else f"{found.tokens} of {found.max_tokens}"
    return f"{found.owner.type}:{found.owner.id}", found.rate_limit or "any", uses, tokens
