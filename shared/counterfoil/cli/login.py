"""`counterfoil login`, `user change-password` and `user totp`: commands that need the user's own password."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counterfoil.cli.calls import fresh_key, where
from counterfoil.cli.commands import Commands
from counterfoil.cli.completion import emails, user_refs
from counterfoil.cli.display import show
from counterfoil.cli.errors import NOT_SHOWN, ended, remark, shown_again_by
from counterfoil.cli.ledger import IssuingLedger, Ledger
from counterfoil.cli.login_file import refuse_to_write, write
from counterfoil.cli.options import Key
from counterfoil.cli.output import OutputFailed
from counterfoil.cli.password_prompt import Person, chosen, typed
from counterfoil.cli.token_display import show_issued
from counterfoil.cli.user_display import show_enrolled, show_with_password, user_facts
from counterfoil.client.documents import UserWithPassword

if TYPE_CHECKING:
    from counterfoil.client.documents import Enrolment

totp = Commands(help="One-time codes beside the password.", no_args_is_help=True)

Email = Annotated[
    str,
    typer.Argument(
        help="Your e-mail address; outside the first account ACCOUNT/ADDRESS, with the account's id.",
        autocompletion=emails,
    ),
]
Whose = Annotated[
    str | None,
    typer.Argument(
        help="The user's number, e-mail or id; for yourself, give --email.", metavar="[USER]", autocompletion=user_refs
    ),
]
Mine = Annotated[
    str | None,
    typer.Option("--email", help="Yourself: the address that you log in with.", autocompletion=emails),
]


def login(
    email: Email,
    *,
    lifetime: Annotated[str, typer.Option(help="How long the token lives.")] = "8h",
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="Only this scope; repeatable.")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write it to this file, for --credentials, instead of showing it.")
    ] = None,
    ledger: IssuingLedger,
) -> None:
    """Issue a short-lived token for yourself with your password, and a one-time code if you use them."""
    if save is not None:
        refuse_to_write(save)
    person = Person(email, ledger.credentials)
    with shown_again_by(ledger.key or fresh_key()) as key:
        issued = person.ask(lambda api: api.log_in(lifetime=lifetime, scopes=scopes, idempotency_key=key)).issued
        if save is None:
            show_issued(issued, quiet=ledger.quiet, as_json=ledger.as_json)
        else:
            write(save, where(ledger.credentials), issued.secret)
            remark(f"Wrote {save}; ask with --credentials {save}.")


def change_password(
    ref: Whose = None,
    *,
    email: Mine = None,
    choose: Annotated[bool, typer.Option("--choose", help="Type the new password at a prompt.")] = False,
    key: Key = None,
    ledger: Ledger,
) -> None:
    """Reset a user's password, or with --email change your own. A password that we make up is printed once."""
    if (ref is None) == (email is None):
        raise typer.BadParameter("Name a user, or say --email for your own.")
    repeated, key = key is not None, key or fresh_key()
    if ref is not None:
        given = chosen("Their new password: ") if choose else None
        with shown_again_by(key):
            reset = ledger.ask(lambda api: api.change_password(ref, password=given, idempotency_key=key))
            show_with_password(reset, as_json=ledger.as_json)
        return
    person = Person(email or "", ledger.credentials)
    new = chosen("Your new password: ") if choose else person.made_up(key)
    with shown_again_by(key):
        user = person.change_password(new, key=key, repeated=repeated)
        made = UserWithPassword(user=user, password=None if choose else new)
        show_with_password(made, as_json=ledger.as_json)


@totp.command("enrol")
def enrol(email: Email, *, ledger: Ledger) -> None:
    """Enrol for one-time codes: scan the QR code, then type the code that your authenticator shows."""
    person = Person(email, ledger.credentials)
    begun = person.ask(lambda api: api.begin_totp())
    _show_seed(begun)
    code = typed("The code that it shows now: ")
    enrolled = person.ask(lambda api: api.confirm_totp(code))
    try:
        show_enrolled(enrolled, as_json=ledger.as_json)
    except OutputFailed as failed:
        advice = f"Run `counterfoil user totp enrol {email}` again, for another seed and other recovery codes."
        raise ended(NOT_SHOWN, f"this is done, but not shown: {failed}.", advice=advice) from None


@totp.command("remove")
def remove(ref: Whose = None, *, email: Mine = None, ledger: Ledger) -> None:
    """Stop requiring one-time codes from a user, or with --email from yourself."""
    if (ref is None) == (email is None):
        raise typer.BadParameter("Name a user, or say --email for your own.")
    if ref is not None:
        user = ledger.ask(lambda api: api.remove_totp(ref))
    else:
        user = Person(email or "", ledger.credentials).ask(lambda api: api.remove_totp())
    show(user, user_facts, as_json=ledger.as_json)


def _show_seed(begun: Enrolment) -> None:
    """Show the seed on stderr; stdout is for output that programs keep."""
    import segno  # noqa: PLC0415 - no other command draws

    if sys.stderr.isatty():
        segno.make(begun.uri).terminal(out=sys.stderr, compact=True)
    remark(f"Seed for your authenticator: {begun.secret}\n{begun.uri}")
