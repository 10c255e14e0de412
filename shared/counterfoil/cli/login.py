"""`counterfoil login`, `user password` and `user totp`: commands that need the user's own password."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counterfoil.cli.calls import ask, fresh_key, where
from counterfoil.cli.completion import emails, user_refs
from counterfoil.cli.display import show, show_secret
from counterfoil.cli.errors import NOT_SHOWN, ended, remark, told_again_by
from counterfoil.cli.login_file import refuse_to_write, write
from counterfoil.cli.options import AsJson, Credentials, Key, Quiet
from counterfoil.cli.output import OutputFailed
from counterfoil.cli.password_prompt import Person, chosen, told
from counterfoil.cli.user_display import show_enrolled, show_user, show_with_password
from counterfoil.client import Secret, UserWithPassword

if TYPE_CHECKING:
    from counterfoil.client import Enrolment

totp = typer.Typer(help="One-time codes beside the password.", no_args_is_help=True)

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
    key: Key = None,
    credentials: Credentials = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Issue a short-lived token for yourself with your password, and a one-time code if you use them."""
    if save is not None:
        refuse_to_write(save)
    person, key = Person(email, credentials=credentials, as_json=as_json), key or fresh_key()
    with told_again_by(key):
        logged_in = person.ask(lambda ledger: ledger.log_in(lifetime=lifetime, scopes=scopes, idempotency_key=key))
        if save is not None:
            write(save, where(credentials), logged_in.issued.secret)
            remark(f"Wrote {save}; ask with --credentials {save}.")
        elif quiet:
            show_secret(logged_in.issued)
        else:
            show(logged_in.issued, as_json=as_json)


def password(
    ref: Whose = None,
    *,
    email: Mine = None,
    choose: Annotated[bool, typer.Option("--choose", help="Type the new password at a prompt.")] = False,
    key: Key = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Reset a user's password, or with --email change your own. A password that we make up is printed once."""
    if (ref is None) == (email is None):
        raise typer.BadParameter("Name a user, or say --email for your own.")
    repeated, key = key is not None, key or fresh_key()
    if ref is not None:
        given = chosen("Their new password: ") if choose else None
        with told_again_by(key):
            reset = ask(
                lambda ledger: ledger.change_password(ref, password=given, idempotency_key=key),
                credentials=credentials, as_json=as_json,
            )  # fmt: skip
            show_with_password(reset, as_json=as_json)
        return
    person = Person(email or "", credentials=credentials, as_json=as_json)
    new = chosen("Your new password: ") if choose else person.made_up(key)
    with told_again_by(key):
        user = person.change_password(new, key=key, repeated=repeated)
        show_with_password(UserWithPassword(user=user, password=None if choose else Secret(new)), as_json=as_json)


@totp.command("enrol")
def enrol(email: Email, *, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Enrol for one-time codes: scan the QR code, then type the code that your authenticator shows."""
    person = Person(email, credentials=credentials, as_json=as_json)
    begun = person.ask(lambda ledger: ledger.begin_totp())
    _show_seed(begun)
    code = told("The code that it shows now: ")
    enrolled = person.ask(lambda ledger: ledger.confirm_totp(code))
    try:
        show_enrolled(enrolled, as_json=as_json)
    except OutputFailed as failed:
        advice = f"Run `counterfoil user totp enrol {email}` again, for another seed and other recovery codes."
        raise ended(NOT_SHOWN, f"this is done, but not shown: {failed}.", advice=advice) from None


@totp.command("remove")
def remove(ref: Whose = None, *, email: Mine = None, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Stop requiring one-time codes from a user, or with --email from yourself."""
    if (ref is None) == (email is None):
        raise typer.BadParameter("Name a user, or say --email for your own.")
    if ref is not None:
        user = ask(lambda ledger: ledger.remove_totp(ref), credentials=credentials, as_json=as_json)
    else:
        person = Person(email or "", credentials=credentials, as_json=as_json)
        user = person.ask(lambda ledger: ledger.remove_totp())
    show_user(user, as_json=as_json)


def _show_seed(begun: Enrolment) -> None:
    """Show the seed on stderr; stdout is for output that programs keep."""
    import segno  # noqa: PLC0415 - no other command draws

    if sys.stderr.isatty():
        segno.make(begun.uri.plain).terminal(out=sys.stderr, compact=True)
    remark(f"Seed for your authenticator: {begun.secret.plain}\n{begun.uri.plain}")
