"""The first breath of an account: itself, its administrator, and a token that may do everything in it.

Everything is minted and written down before anything is asked of the ledger, so that a crash at any moment
leaves either nothing, or a file from which the same account is founded again:

    FILE.new (mode 0600, on disk)  →  CreateAccount, CreateUser, Create together  →  FILE.new becomes FILE
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
from argon2 import PasswordHasher
from msgspec.structs import replace
from uuid_utils.compat import uuid7

from . import text
from .commands import Create, Renew
from .door import Door
from .duration import FOREVER, length
from .fold import Together
from .keys.peppering import settle
from .postgres.connection import connect, open_pool
from .postgres.users import first_account
from .principal import NIL, Actor, Owner, Principal
from .refusals import AlreadyExists, BadDuration
from .scopes import EVERYTHING
from .secret import Peppers, Secret, mint
from .settings import Settings
from .subjects.account import CreateAccount
from .subjects.user import checked_email, login_of
from .subjects.user_commands import CreateUser

_PASSWORD_BYTES: Final = 18
FIRST_LIFETIME: Final = "365d"
"""Of the first token, unless another is stated: for nine months it may issue tokens that live for 90 days."""


class AnotherFounding(Exception):  # noqa: N818 - a complaint
    """This file belongs to another account or administrator; name another file."""


class Charter(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials of a new account, as the file holds them; ids are minted first, so that all can be repeated.

    `admin_login` is what the administrator logs in with: ACCOUNT/ADDRESS, or in the first account the address alone.
    `admin_token_lifetime` is what the token was last given: a duration, or forever.
    """

    url: str
    account: UUID
    account_name: str
    admin_email: str
    admin_password: str
    admin_token: str
    admin_user_id: UUID
    admin_token_id: UUID
    admin_login: str = ""
    admin_token_lifetime: str = FOREVER

    def __repr__(self) -> str:
        return f"Charter(account={self.account})"


async def found(settings: Settings, *, name: str, email: str, file: Path, lifetime: str | None = None) -> bool:
    """Found the account whose credentials the file will hold; False if it holds them already.

    May be repeated after any failure: the same command finishes what was begun.
    """
    new = file.with_name(file.name + ".new")
    with _turn(file.parent):
        if file.exists():  # noqa: ASYNC240 - nobody else waits in this process
            _refuse_another(_read(file), name, email)
            return False
        charter = _read(new)
        if charter is None:
            charter = _minted(settings, name, email, FIRST_LIFETIME if lifetime is None else lifetime)
            _write(new, charter)
        else:
            _refuse_another(charter, name, email)
        await _execute(settings, charter)
        _write(new, replace(charter, admin_login=await _login(settings, charter)))
        new.rename(file)
        _sync(file.parent)
    return True


async def renew_token(settings: Settings, *, file: Path, lifetime: str | None = None) -> datetime | None:
    """Give the token in a file of credentials a life from now on, and return its end; without one, its own again."""
    with _turn(file.parent):
        charter = _read(file)
        if charter is None:
            raise AnotherFounding(f"The file {file} does not exist; create it with `counterfoil account create`.")
        charter = replace(charter, admin_token_lifetime=lifetime or charter.admin_token_lifetime)
        command = Renew(
            account=charter.account, token_id=charter.admin_token_id, by=_founder(charter),
            duration=charter.admin_token_lifetime,
        )  # fmt: skip
        async with Door(settings.database_url) as door:
            token = (await door.execute(command)).token
        _write(file, charter)
    return token.expires_at


def lifetime_in(file: Path) -> str:
    """Return the lifetime of the token in a file of credentials: a duration, or forever."""
    return msgspec.json.decode(file.read_bytes(), type=Charter).admin_token_lifetime


def login_in(file: Path) -> str:
    """Return what the administrator in a file of credentials logs in with."""
    charter = msgspec.json.decode(file.read_bytes(), type=Charter)
    return charter.admin_login or f"{charter.account}/{charter.admin_email}"


@contextmanager
def _turn(directory: Path) -> Iterator[None]:
    """Let two who found in one directory do so one after the other."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(file: Path) -> Charter | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Charter)
    except FileNotFoundError:
        return None
    except msgspec.ValidationError:  # whole, but not one of ours
        raise AnotherFounding(AnotherFounding.__doc__) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # torn, so never acted on: the commands go out only after it reached the disk whole


def _refuse_another(charter: Charter | None, name: str, email: str) -> None:
    if charter is None or (charter.account_name, charter.admin_email) != (name, email):
        raise AnotherFounding(AnotherFounding.__doc__)


def _minted(settings: Settings, name: str, email: str, lifetime: str) -> Charter:
    text.checked_name(name)
    if lifetime != FOREVER and not length(lifetime):
        raise BadDuration("The token would expire at once; state a lifetime such as 90d, or forever.")
    account = uuid7()
    return Charter(
        url=settings.public_url, account=account, account_name=name, admin_email=checked_email(email),
        admin_password=secrets.token_urlsafe(_PASSWORD_BYTES), admin_token=mint("user").plain,
        admin_user_id=uuid7(), admin_token_id=uuid7(), admin_login=f"{account}/{email}",
        admin_token_lifetime=lifetime,
    )  # fmt: skip


async def _login(settings: Settings, charter: Charter) -> str:
    """Return what the administrator logs in with, which is known only once the account is there."""
    async with await open_pool(settings.database_url, size=1) as pool:
        first = await first_account(pool, settings.default_account)
    return login_of(charter.admin_email, charter.account, first or NIL)


def _write(file: Path, charter: Charter) -> None:
    """Write the file whole or leave it as it is: nobody else may know what an account was founded with."""
    part = file.with_name(file.name + ".part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as opened:
        opened.write(msgspec.json.format(msgspec.json.encode(charter)) + b"\n")
        opened.flush()
        os.fsync(handle)
    part.rename(file)
    _sync(file.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def _execute(settings: Settings, charter: Charter) -> None:
    connection, peppers = await connect(settings.database_url), Peppers(settings.peppers)
    async with Door(settings.database_url) as door:
        try:
            await settle(connection, door, peppers)
        finally:
            await connection.close()
        with suppress(AlreadyExists):  # an earlier try came through, and its answer was lost
            await door.execute(_all_of_it(charter, peppers))


def _founder(charter: Charter) -> Principal:
    return Principal(actor=Actor("system", NIL), account=charter.account, scopes=(EVERYTHING,))


def _all_of_it(charter: Charter, peppers: Peppers) -> Together:
    founder = _founder(charter)
    account = CreateAccount(account=charter.account, id=charter.account, by=founder, name=charter.account_name)
    administrator = CreateUser(
        account=charter.account, id=charter.admin_user_id, by=founder, email=charter.admin_email,
        number=1, role="administrator", password_hash=PasswordHasher().hash(charter.admin_password),
    )  # fmt: skip
    token = Create(
        account=charter.account, token_id=charter.admin_token_id, by=founder, number=1,
        owner=Owner("user", str(charter.admin_user_id)), name="administrator",
        secret=peppers.minted(Secret(charter.admin_token)), scopes=(EVERYTHING,),
        duration=charter.admin_token_lifetime,
    )  # fmt: skip
    return Together((account, administrator, token))
