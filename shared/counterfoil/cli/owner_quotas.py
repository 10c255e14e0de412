"""`counterfoil owner-quota`: limits on all tokens of an owner together."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from counterfoil.cli import options
from counterfoil.cli.commands import Commands
from counterfoil.cli.display import Facts, owner_of
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import IfMatch, Limit
from counterfoil.cli.tables import Columns
from counterfoil.client.documents import OwnerQuota

app = Commands(help="Limits on the uses and the number of all tokens of an owner.", no_args_is_help=True)

OwnerRef = Annotated[
    str,
    typer.Option("--owner", metavar="TYPE:ID", help="The owner, such as service:backup, application:shop or user:2."),
]


@app.command("list")
def quotas(*, limit: Limit = None, ledger: Ledger) -> None:
    """List the quotas of owners."""
    ledger.list(lambda api, most: api.owner_quotas(limit=most), _QUOTAS, limit)


@app.command()
def show(*, owner: OwnerRef, ledger: Ledger) -> None:
    """Show the quota of an owner, and what is left of it."""
    whose = options.stated_owner(owner)
    ledger.show(lambda api: api.owner_quota(whose), _facts)


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
    ledger: Ledger,
) -> None:
    """Give an owner a quota in place of any other; what is not stated is any number."""
    whose = options.stated_owner(owner)
    ledger.show(
        lambda api: api.set_owner_quota(
            whose, rate_limit=rate_limit, max_uses=max_uses, max_tokens=max_tokens, if_match=if_match
        ),
        _facts,
    )


@app.command()
def remove(*, owner: OwnerRef, if_match: IfMatch = None, ledger: Ledger) -> None:
    """Remove the quota of an owner."""
    whose = options.stated_owner(owner)
    ledger.show(lambda api: api.remove_owner_quota(whose, if_match=if_match), _facts)


def _uses(quota: OwnerQuota) -> str:
    return "any number" if quota.max_uses is None else f"at most {quota.max_uses}, {quota.uses_left} left"


def _tokens(quota: OwnerQuota) -> str:
    return f"{quota.tokens}" if quota.max_tokens is None else f"{quota.tokens} of {quota.max_tokens}"


_QUOTAS: Final[Columns[OwnerQuota]] = {
    "owner": lambda quota: owner_of(quota.owner),
    "rate limit": lambda quota: quota.rate_limit or "any",
    "uses": _uses,
    "live tokens": _tokens,
}


def _facts(quota: OwnerQuota) -> Facts:
    return [(head, cell(quota)) for head, cell in _QUOTAS.items()]
