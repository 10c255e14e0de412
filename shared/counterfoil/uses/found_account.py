"""Founds an account with its administrator and a token that may do everything in it.

All ids and secrets are made and written to a file before the first command. So a crash at any moment leaves either
nothing, or a file from which the next call founds the same account:

    FILE.new (mode 0600, on disk)  →  CreateAccount, CreateUser, Create together  →  FILE.new becomes FILE
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from msgspec.structs import asdict, replace
from uuid_utils.compat import uuid7

from counterfoil import private_files
from counterfoil.core import text
from counterfoil.core.duration import FOREVER, length
from counterfoil.core.emails import canonical, checked_email
from counterfoil.core.principal import NIL, Actor, Principal
from counterfoil.core.refusals import AlreadyExists, BadDuration
from counterfoil.core.scopes import EVERYTHING
from counterfoil.core.secret import Peppers, Secret, mint
from counterfoil.core.subjects.account import CreateAccount
from counterfoil.core.subjects.token.commands import Renew
from counterfoil.core.subjects.token.state import FOUNDING, Token
from counterfoil.core.subjects.user import login_of, owner_of
from counterfoil.core.subjects.user_commands import CreateUser
from counterfoil.core.unit_of_work import AllOrNothing
from counterfoil.door import Door
from counterfoil.postgres.connection import connect, open_pool
from counterfoil.postgres.users import first_account
from counterfoil.settings import Settings
from counterfoil.uses import example_tokens as examples_of
from counterfoil.uses.credentials_file import (
    FIRST,
    AnotherFounding,
    Charter,
    WithExamples,
    locked_directory,
    present,
    read,
    write,
)
from counterfoil.uses.example_tokens import PASSWORD_BYTES
from counterfoil.uses.issue import Wish, creation
from counterfoil.uses.pepper_sync import introduce_peppers

FIRST_LIFETIME: Final = "365d"
"""The default lifetime of the first token; for nine months it can issue tokens that live for 90 days."""


async def found(
    settings: Settings, *, name: str, email: str, file: Path, lifetime: str | None = None, examples: bool = False
) -> bool:
    """Found the account whose credentials go into the file; return False if the file has them already.

    With `examples` the account has one of each thing that vendors' clients need. After a failure, the same call
    finishes the founding with the ids and secrets in the file.
    """
    new = file.with_name(file.name + ".new")
    with locked_directory(file.parent):
        if file.exists():  # noqa: ASYNC240 - nobody else waits in this process
            _refuse_another(read(file), name, email)
            return False
        charter = read(new)
        if charter is None:
            minted = _minted(settings, name, email, FIRST_LIFETIME if lifetime is None else lifetime)
            charter = WithExamples(**asdict(minted), **examples_of.minted(minted.admin_email)) if examples else minted
            write(new, charter)
        else:
            _refuse_another(charter, name, email)
        await _execute(settings, charter)
        write(new, await _with_logins(settings, charter))
        new.rename(file)
        private_files.sync(file.parent)
    return True


async def renew_token(settings: Settings, *, file: Path, lifetime: str | None = None) -> datetime | None:
    """Renew the token in a file of credentials, by this lifetime or its own, and return its expiry."""
    with locked_directory(file.parent):
        charter = present(file)
        charter = replace(charter, admin_token_lifetime=lifetime or charter.admin_token_lifetime)
        command = Renew(
            account=charter.account, id=charter.admin_token_id, by=_founder(charter),
            lifetime=charter.admin_token_lifetime,
        )  # fmt: skip
        async with Door(settings.database_url) as door:
            token = (await door.execute(command)).of(Token)
        write(file, charter)
    return token.expires_at


def _refuse_another(charter: Charter | None, name: str, email: str) -> None:
    if charter is None or (charter.account_name, canonical(charter.admin_email)) != (name, canonical(email)):
        raise AnotherFounding(AnotherFounding.__doc__)


def _minted(settings: Settings, name: str, email: str, lifetime: str) -> Charter:
    text.checked_name(name)
    if lifetime != FOREVER and not length(lifetime):
        raise BadDuration("The token would expire at once; state a lifetime such as 90d, or forever.")
    account = uuid7()
    return Charter(
        url=settings.public_url, account=account, account_name=name, admin_email=checked_email(email),
        admin_password=secrets.token_urlsafe(PASSWORD_BYTES), admin_token=mint("user").plain,
        admin_user_id=uuid7(), admin_token_id=uuid7(), admin_login=f"{account}/{email}",
        admin_token_lifetime=lifetime,
    )  # fmt: skip


async def _with_logins(settings: Settings, charter: Charter) -> Charter:
    """Return it with the logins of its users, which are known only once the account exists."""
    async with await open_pool(settings.database_url, size=1) as pool:
        first = await first_account(pool, settings.default_account) or NIL
    if isinstance(charter, WithExamples):
        charter = replace(charter, member_login=login_of(charter.member_email, charter.account, first))
    return replace(charter, admin_login=login_of(charter.admin_email, charter.account, first))


async def _execute(settings: Settings, charter: Charter) -> None:
    connection, peppers = await connect(settings.database_url), Peppers(settings.peppers)
    async with Door(settings.database_url) as door:
        try:
            await introduce_peppers(connection, door, peppers)
        finally:
            await connection.close()
        with suppress(AlreadyExists):  # an earlier attempt succeeded, and its reply was lost
            await door.execute(_founding(charter, peppers))


def _founder(charter: Charter) -> Principal:
    return Principal(actor=Actor("system", NIL), account=charter.account, scopes=(EVERYTHING,))


def _founding(charter: Charter, peppers: Peppers) -> AllOrNothing:
    founder = _founder(charter)
    account = CreateAccount(account=charter.account, id=charter.account, by=founder, name=charter.account_name)
    administrator = CreateUser(
        account=charter.account, id=charter.admin_user_id, by=founder, email=charter.admin_email,
        number=FIRST, role="administrator", password_hash=PasswordHasher().hash(charter.admin_password),
    )  # fmt: skip
    wish = Wish(
        name="administrator", owner=owner_of(charter.admin_user_id), scopes=(EVERYTHING,),
        lifetime=charter.admin_token_lifetime, dialect=FOUNDING,
    )  # fmt: skip
    token = creation(
        wish, founder, peppers, token_id=charter.admin_token_id, secret=Secret(charter.admin_token), number=1
    )
    examples = examples_of.commands(charter, founder, peppers) if isinstance(charter, WithExamples) else ()
    return AllOrNothing((account, administrator, token, *examples))
