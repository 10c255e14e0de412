"""`counterfoil scope`: the account's catalogue of scopes and scope sets."""

from __future__ import annotations

from typing import Annotated

import typer

from counterfoil.cli.calls import ask
from counterfoil.cli.completion import scope_sets
from counterfoil.cli.display import facts
from counterfoil.cli.lists import listed
from counterfoil.cli.options import AsJson, Credentials, Limit
from counterfoil.cli.output import say_json
from counterfoil.cli.tables import table
from counterfoil.client import Scope, ScopeSet

app = typer.Typer(help="The catalogue of scopes and scope sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The scope, such as invoices.read.", metavar="SCOPE")]
SetName = Annotated[str, typer.Argument(help="The name of the set.", metavar="NAME", autocompletion=scope_sets)]
Sentence = Annotated[str, typer.Option(help="A sentence that describes it.")]


@app.command("list")
def scopes(*, limit: Limit = None, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """List the catalogue's scopes, the built-in ones first."""
    listed(
        lambda ledger, most: ledger.scopes(limit=most),
        lambda found: table(("scope", "means", "more"), ((s.scope, s.sentence, _more(s)) for s in found)),
        limit, credentials, as_json=as_json,
    )  # fmt: skip


@app.command()
def describe(
    scope: Name,
    *,
    sentence: Sentence,
    documentation: Annotated[str | None, typer.Option(help="The URL of its documentation.")] = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Describe a scope; the description neither grants nor forbids the scope."""
    _shown(
        ask(
            lambda ledger: ledger.describe_scope(scope, sentence, documentation=documentation),
            credentials=credentials, as_json=as_json,
        ),
        as_json=as_json,
    )  # fmt: skip


@app.command()
def forget(scope: Name, *, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Remove a scope from the catalogue; its holders keep it."""
    _shown(ask(lambda ledger: ledger.forget_scope(scope), credentials=credentials, as_json=as_json), as_json=as_json)


@app.command()
def sets(*, limit: Limit = None, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """List the sets of scopes that are granted together (`token create --scope-set`)."""
    listed(
        lambda ledger, most: ledger.scope_sets(limit=most),
        lambda found: table(("set", "for", "scopes"), ((s.name, s.sentence, " ".join(s.scopes)) for s in found)),
        limit, credentials, as_json=as_json,
    )  # fmt: skip


@app.command()
def compose(
    name: SetName,
    *,
    scope: Annotated[list[str], typer.Option(help="A scope of the set; repeat for more.")],
    sentence: Sentence = "",
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Compose a set of scopes under a name; tokens that were granted the set before do not change."""
    _shown(
        ask(
            lambda ledger: ledger.compose_scope_set(name, scope, sentence=sentence),
            credentials=credentials, as_json=as_json,
        ),
        as_json=as_json,
    )  # fmt: skip


@app.command("forget-set")
def forget_set(name: SetName, *, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Remove a set from the catalogue."""
    _shown(ask(lambda ledger: ledger.forget_scope_set(name), credentials=credentials, as_json=as_json), as_json=as_json)


def _shown(value: Scope | ScopeSet, *, as_json: bool) -> None:
    if as_json:
        say_json(value)
    elif isinstance(value, Scope):
        facts([("scope", value.scope), ("means", value.sentence), ("more", value.documentation or "")])
    else:
        facts([("set", value.name), ("for", value.sentence), ("scopes", " ".join(value.scopes))])


def _more(scope: Scope) -> str:
    return "built in" if scope.built_in else scope.documentation or ""
