"""`counterfoil account create`, `renew-token` and `recover`: they run on the server and need no login."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from counterfoil.cli.commands import Commands
from counterfoil.cli.display import time_of
from counterfoil.cli.errors import NOT_SHOWN, REFUSED, USAGE, ended, on_server, remark, settings
from counterfoil.cli.output import OutputFailed, say
from counterfoil.core.duration import FOREVER

app = Commands(
    help="Your account and its policy; create and recover run on the server itself (DATABASE_URL).",
    no_args_is_help=True,
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The name of the account.")],
    admin_email: Annotated[str, typer.Option(help="The e-mail address of its administrator.")],
    credentials: Annotated[Path, typer.Option(help="The file to write the credentials to; only you can read it.")],
    token_lifetime: Annotated[
        str | None,
        typer.Option(
            help="The lifetime of its token: 90d, or forever; the default is 365d. It cannot issue longer-lived tokens."
        ),
    ] = None,
    with_examples: Annotated[
        bool,
        typer.Option(
            "--with-examples",
            help="Also create what vendors' clients need: a member, an application, a zone, sets of scopes.",
        ),
    ] = False,
) -> None:
    """Create an account, its administrator and an administrator's token. After a failure, repeat it: it finishes."""
    from counterfoil.uses.credentials_file import AnotherFounding, WithExamples, present  # noqa: PLC0415 - clients need no door
    from counterfoil.uses.found_account import found  # noqa: PLC0415 - likewise

    if not credentials.absolute().parent.is_dir():
        raise ended(USAGE, f"there is no directory {credentials.parent}")
    configured = settings("account")
    try:
        fresh = on_server(found(
            configured, name=name, email=admin_email, file=credentials.absolute(), lifetime=token_lifetime,
            examples=with_examples,
        ))  # fmt: skip
    except AnotherFounding as error:
        raise ended(USAGE, f"{credentials}: {error}") from None
    say(f"{'wrote' if fresh else 'already there:'} {credentials}\n")
    charter = present(credentials)
    remark(f"Its administrator logs in as {charter.admin_login or f'{charter.account}/{charter.admin_email}'}.")
    remark(_lives(charter.admin_token_lifetime, credentials))
    if with_examples and not isinstance(charter, WithExamples):
        remark("It has no examples: they are made together with an account, or not at all.")


def _lives(lifetime: str, file: Path) -> str:
    again = f"counterfoil account renew-token --credentials {shlex.quote(str(file))}"
    if lifetime == FOREVER:
        return f"Its token never expires. Give it an end once it is no longer needed: {again} --lifetime 90d"
    return f"Its token lives for {lifetime}. Renew it before it expires: {again}"


@app.command("renew-token")
def renew_token(
    credentials: Annotated[Path, typer.Option(help="The file that `account create` wrote.")],
    lifetime: Annotated[
        str | None, typer.Option(help="The lifetime from now on: 90d, or forever. The default is its present lifetime.")
    ] = None,
) -> None:
    """Renew the token in a credentials file; its secret stays."""
    from counterfoil.uses.credentials_file import AnotherFounding  # noqa: PLC0415 - client commands need no door
    from counterfoil.uses.found_account import renew_token as renew  # noqa: PLC0415 - likewise

    configured = settings("account")
    try:
        ends = on_server(renew(configured, file=credentials.absolute(), lifetime=lifetime))
    except AnotherFounding as error:
        raise ended(USAGE, str(error)) from None
    say(f"expires {'never' if ends is None else time_of(ends)}\n")


@app.command()
def recover(
    email: Annotated[str, typer.Option(help="The e-mail address of the user who is locked out.")],
    account: Annotated[
        UUID | None,
        typer.Option(help="The id of the user's account; needed if several accounts have a user with this address."),
    ] = None,
    any_network: Annotated[
        bool,
        typer.Option("--any-network", help="Also remove the account's networks, so that it may be used from anywhere."),
    ] = False,
) -> None:
    """Recover a locked-out user: make them an enabled administrator with a new password and no one-time codes."""
    from counterfoil.uses.recover_account import NoSuchUser, SeveralUsers  # noqa: PLC0415 - client commands need no door
    from counterfoil.uses.recover_account import recover as let_in  # noqa: PLC0415 - likewise

    configured = settings("account")
    try:
        recovered = on_server(let_in(configured, email=email, account=account, any_network=any_network))
    except (NoSuchUser, SeveralUsers) as error:
        raise ended(REFUSED, str(error)) from None
    try:
        say(f"{recovered.password}\n")
    except OutputFailed as failed:
        advice = "Run the same command again for another password."
        raise ended(NOT_SHOWN, f"this is done, but not shown: {failed}.", advice=advice) from None
    remark(f"Log in as {recovered.login} with this password, which is not shown again, and change it.")
