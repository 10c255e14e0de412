"""`counterfoil scope` and `counterfoil scope-set`: the account's catalogue of scopes and scope sets."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from counterfoil.cli.commands import Commands
from counterfoil.cli.completion import scope_sets
from counterfoil.cli.display import Facts
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import Limit
from counterfoil.cli.tables import Columns
from counterfoil.client.documents import Scope, ScopeSet

app = Commands(help="The catalogue of scopes.", no_args_is_help=True)
sets = Commands(help="Sets of scopes that are granted together.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The scope, such as invoices.read.", metavar="SCOPE")]
SetName = Annotated[str, typer.Argument(help="The name of the set.", metavar="NAME", autocompletion=scope_sets)]
Sentence = Annotated[str, typer.Option(help="A sentence that describes it.")]

_SCOPES: Final[Columns[Scope]] = {
    "scope": lambda scope: scope.scope,
    "means": lambda scope: scope.sentence,
    "more": lambda scope: "built in" if scope.built_in else scope.documentation or "",
}
_SETS: Final[Columns[ScopeSet]] = {
    "set": lambda each: each.name,
    "for": lambda each: each.sentence,
    "scopes": lambda each: " ".join(each.scopes),
}


@app.command("list")
def list_scopes(*, limit: Limit = None, ledger: Ledger) -> None:
    """List the catalogue's scopes, the built-in ones first."""
    ledger.list(lambda api, most: api.scopes(limit=most), _SCOPES, limit)


@app.command()
def describe(
    scope: Name,
    *,
    sentence: Sentence,
    documentation: Annotated[str | None, typer.Option(help="The URL of its documentation.")] = None,
    ledger: Ledger,
) -> None:
    """Describe a scope; the description neither grants nor forbids the scope."""
    ledger.show(lambda api: api.describe_scope(scope, sentence, documentation=documentation), _facts)


@app.command("remove")
def remove_scope(scope: Name, *, ledger: Ledger) -> None:
    """Remove a scope from the catalogue; its holders keep it."""
    ledger.show(lambda api: api.remove_scope(scope), _facts)


@sets.command("list")
def list_sets(*, limit: Limit = None, ledger: Ledger) -> None:
    """List the sets of scopes that are granted together (`token create --scope-set`)."""
    ledger.list(lambda api, most: api.scope_sets(limit=most), _SETS, limit)


@sets.command()
def define(
    name: SetName,
    *,
    scope: Annotated[list[str], typer.Option(help="A scope of the set; repeat for more.")],
    sentence: Sentence = "",
    ledger: Ledger,
) -> None:
    """Define a set of scopes under a name; tokens that were granted the set before do not change."""
    ledger.show(lambda api: api.define_scope_set(name, scope, sentence=sentence), _set_facts)


@sets.command("remove")
def remove_set(name: SetName, *, ledger: Ledger) -> None:
    """Remove a set from the catalogue."""
    ledger.show(lambda api: api.remove_scope_set(name), _set_facts)


def _facts(scope: Scope) -> Facts:
    return [("scope", scope.scope), ("means", scope.sentence), ("more", scope.documentation or "")]


def _set_facts(found: ScopeSet) -> Facts:
    return [(head, cell(found)) for head, cell in _SETS.items()]
