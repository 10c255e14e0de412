"""`counterfoil login`, `user password` and `user totp`: what takes a person's own password."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from .asking import Place, ask, where
from .complaints import USAGE, ended, remark
from .options import AsJson, Credentials, Quiet
from .person import Person, chosen, told
from .showing import json_of, show, show_secret
from .user_showing import show_enrolled, show_user, show_with_password

if TYPE_CHECKING:
    from counterfoil.client import Enrolment, LoggedIn

totp = typer.Typer(help="One-time codes beside the password.", no_args_is_help=True)

Email = Annotated[
    str,
    typer.Argument(help="Your e-mail address; outside the first account ACCOUNT/ADDRESS, with the account's id."),
]
Whose = Annotated[str | None, typer.Argument(help="Whose, by number or id; your own take --email.", metavar="[USER]")]
Mine = Annotated[str | None, typer.Option("--email", help="Your own: what you log in with, see `counterfoil login`.")]


def login(
    email: Email,
    *,
    duration: Annotated[str, typer.Option(help="How long the token lives.")] = "8h",
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="No more than this; repeatable.")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write it to this file, for --credentials, instead of showing it.")
    ] = None,
    credentials: Credentials = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Get a short-lived token for yourself with your password, and your one-time code if you use them."""
    if save is not None and save.exists() and not _is_login(save):
        raise ended(USAGE, f"{save} holds something else than a login; name another file.")
    person = Person(email, credentials=credentials, as_json=as_json)
    logged_in = person.ask(lambda ledger: ledger.log_in(duration=duration, scopes=scopes))
    if save is not None:
        _write(save, where(credentials), logged_in)
        remark(f"Wrote {save}; ask with --credentials {save}.")
    elif quiet:
        show_secret(logged_in.issued)
    else:
        show(logged_in.issued, as_json=as_json)


def password(
    ref: Whose = None,
    *,
    email: Mine = None,
    choose: Annotated[bool, typer.Option("--choose", help="Choose the new one; it is prompted for.")] = False,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Reset somebody's password, or with --email change your own. One that is made up is printed once, now."""
    if (ref is None) == (email is None):
        raise typer.BadParameter("Name a user, or say --email for your own.")
    if ref is not None:
        given = chosen("Their new password: ") if choose else None
        reset = ask(
            lambda ledger: ledger.change_password(ref, password=given), credentials=credentials, as_json=as_json
        )
        show_with_password(reset, as_json=as_json)
        return
    person = Person(email or "", credentials=credentials, as_json=as_json)
    new = chosen("Your new password: ") if choose else None
    show_with_password(person.ask(lambda ledger: ledger.change_password(password=new)), as_json=as_json)


@totp.command("enrol")
def enrol(email: Email, *, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Begin to use one-time codes: scan the picture, then type the code that your authenticator shows."""
    person = Person(email, credentials=credentials, as_json=as_json)
    begun = person.ask(lambda ledger: ledger.begin_totp())
    _show_seed(begun)
    code = told("The code that it shows now: ")
    show_enrolled(person.ask(lambda ledger: ledger.confirm_totp(code)), as_json=as_json)


@totp.command("remove")
def remove(ref: Whose = None, *, email: Mine = None, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Ask a user for no one-time codes any more; your own with --email."""
    if (ref is None) == (email is None):
        raise typer.BadParameter("Name a user, or say --email for your own.")
    if ref is not None:
        user = ask(lambda ledger: ledger.remove_totp(ref), credentials=credentials, as_json=as_json)
    else:
        person = Person(email or "", credentials=credentials, as_json=as_json)
        user = person.ask(lambda ledger: ledger.remove_totp())
    show_user(user, as_json=as_json)


def _show_seed(begun: Enrolment) -> None:
    """Show the seed on stderr: stdout is for what a program keeps."""
    import segno  # noqa: PLC0415 - no other command draws

    if sys.stderr.isatty():
        segno.make(begun.uri.plain).terminal(out=sys.stderr, compact=True)
    remark(f"Seed for your authenticator: {begun.secret.plain}\n{begun.uri.plain}")


def _is_login(file: Path) -> bool:
    try:
        held = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return False
    return held.keys() == {"url", "admin_token"}


def _write(file: Path, url: str, logged_in: LoggedIn) -> None:
    """Write the login as a credentials file, readable by its owner alone."""
    place = Place(url, logged_in.issued.secret.plain)
    new = file.with_name(f"{file.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as opened:
        opened.write(json_of(place) + "\n")
    new.rename(file)
