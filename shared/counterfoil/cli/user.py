"""`counterfoil user`: users and their permissions."""

from __future__ import annotations

from typing import Annotated

import typer

from counterfoil.cli import login
from counterfoil.cli.calls import fresh_key
from counterfoil.cli.commands import Commands
from counterfoil.cli.completion import user_refs
from counterfoil.cli.errors import shown_again_by
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import DryRun, Key, Limit, WithChildren, whole
from counterfoil.cli.password_prompt import chosen
from counterfoil.cli.token_display import EVENTS, show_children
from counterfoil.cli.user_display import USERS, show_with_password, user_facts
from counterfoil.core import glob

app = Commands(help="Create, show, change and remove users.", no_args_is_help=True)
app.command()(login.change_password)
app.add_typer(login.totp, name="totp")

Who = Annotated[
    str,
    typer.Argument(help="The user's number, e-mail address or id, or: self.", metavar="USER", autocompletion=user_refs),
]
Role = Annotated[str, typer.Option(help="administrator, operator, auditor or member.")]
Reason = Annotated[str, typer.Option(help="The reason, for the log.")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="A scope beyond their role; repeatable.")]
IfMatch = Annotated[
    int | None,
    typer.Option("--if-match", parser=whole, metavar="REVISION", help="Only if the user is still at this revision."),
]


@app.command()
def create(
    email: Annotated[str, typer.Argument(help="The e-mail address to log in with.")],
    *,
    role: Role,
    scopes: Scopes = None,
    choose: Annotated[bool, typer.Option("--choose", help="Type the password at a prompt.")] = False,
    key: Key = None,
    ledger: Ledger,
) -> None:
    """Create a user. A password that we make up is printed once."""
    given, key = chosen("Their password: ") if choose else None, key or fresh_key()
    with shown_again_by(key):
        made = ledger.ask(
            lambda api: api.create_user(email, role=role, scopes=scopes or (), password=given, idempotency_key=key)
        )
        show_with_password(made, as_json=ledger.as_json)


@app.command("list")
def list_(
    *,
    email: Annotated[str | None, typer.Option(help=glob.MEANING)] = None,
    role: Annotated[str | None, typer.Option(help="administrator, operator, auditor or member.")] = None,
    status: Annotated[str | None, typer.Option(help="active, disabled or removed.")] = None,
    limit: Limit = None,
    ledger: Ledger,
) -> None:
    """List users."""
    ledger.list(lambda api, most: api.users(email=email, role=role, status=status, limit=most), USERS, limit)


@app.command()
def show(ref: Who, *, ledger: Ledger) -> None:
    """Show a user."""
    ledger.show(lambda api: api.user(ref), user_facts)


@app.command()
def events(ref: Who, *, limit: Limit = None, ledger: Ledger) -> None:
    """Show the events of a user, in order."""
    ledger.list(lambda api, most: api.user_events(ref, limit=most), EVENTS, limit)


@app.command()
def update(
    ref: Who,
    *,
    email: Annotated[str | None, typer.Option(help="The new address to log in with.")] = None,
    role: Annotated[str | None, typer.Option(help="The new role.")] = None,
    scopes: Scopes = None,
    no_scopes: Annotated[bool, typer.Option("--no-scopes", help="No scope beyond their role.")] = False,
    if_match: IfMatch = None,
    ledger: Ledger,
) -> None:
    """Change a user's address, role or scopes; scopes are replaced as a whole."""
    wanted = [] if no_scopes else scopes
    ledger.show(
        lambda api: api.update_user(ref, email=email, role=role, scopes=wanted, if_match=if_match), user_facts
    )  # fmt: skip


@app.command()
def disable(ref: Who, *, reason: Reason, if_match: IfMatch = None, ledger: Ledger) -> None:
    """Disable a user: the API refuses them and their tokens until they are enabled."""
    ledger.show(lambda api: api.disable_user(ref, reason=reason, if_match=if_match), user_facts)


@app.command()
def enable(ref: Who, *, if_match: IfMatch = None, ledger: Ledger) -> None:
    """Enable a disabled user and their tokens; revoked tokens stay revoked."""
    ledger.show(lambda api: api.enable_user(ref, if_match=if_match), user_facts)


@app.command()
def remove(
    ref: Who,
    *,
    reason: Reason,
    with_children: WithChildren = False,
    dry_run: DryRun = False,
    if_match: IfMatch = None,
    ledger: Ledger,
) -> None:
    """Remove a user and revoke their tokens for good, and with --with-children all tokens that they made."""
    removed = ledger.show(
        lambda api: api.remove_user(
            ref, reason=reason, with_children=with_children, dry_run=dry_run, if_match=if_match
        ),
        user_facts,
    )  # fmt: skip
    show_children(removed.children, f"user:{removed.number or removed.id}", as_json=ledger.as_json)
