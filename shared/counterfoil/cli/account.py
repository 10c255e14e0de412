"""`counterfoil account`: what is done where the database is, before anybody can log in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from .complaints import REFUSED, USAGE, database_at_hand, ended, remark, settings

app = typer.Typer(
    help="Your account and its policy; create and recover run on the server itself (DATABASE_URL).",
    no_args_is_help=True,
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people will call the account.")],
    admin_email: Annotated[str, typer.Option(help="The e-mail address of its administrator.")],
    credentials: Annotated[Path, typer.Option(help="Where the credentials are written, readable by you alone.")],
) -> None:
    """Make an account, its administrator and an administrator's token. Repeat it after a failure: it finishes."""
    from counterfoil.founding import AnotherFounding, found, login_in  # noqa: PLC0415 - client commands need no door

    if not credentials.absolute().parent.is_dir():
        raise ended(USAGE, f"there is no directory {credentials.parent}")
    told = settings("account")
    try:
        with database_at_hand():
            fresh = asyncio.run(found(told, name=name, email=admin_email, file=credentials.absolute()))
    except AnotherFounding as error:
        raise ended(USAGE, f"{credentials}: {error}") from None
    typer.echo(f"{'wrote' if fresh else 'already there:'} {credentials}")
    remark(f"Its administrator logs in as {login_in(credentials)}.")


@app.command()
def recover(
    email: Annotated[str, typer.Option(help="The e-mail address of the user to let in.")],
    account: Annotated[
        UUID | None, typer.Option(help="The id of their account; needed where several have a user of this address.")
    ] = None,
    any_network: Annotated[
        bool, typer.Option("--any-network", help="Also lift the account's networks: it may be used from anywhere.")
    ] = False,
) -> None:
    """Let a user in who is locked out: as an enabled administrator, with a new password and without one-time codes."""
    from counterfoil.recovering import NobodySo, SeveralSo  # noqa: PLC0415 - client commands need no door
    from counterfoil.recovering import recover as let_in  # noqa: PLC0415 - likewise

    told = settings("account")
    try:
        with database_at_hand():
            recovered = asyncio.run(let_in(told, email=email, account=account, any_network=any_network))
    except (NobodySo, SeveralSo) as error:
        raise ended(REFUSED, str(error)) from None
    typer.echo(recovered.password)
    remark(f"Log in as {recovered.login} with this password, which is not shown again, and change it.")
