"""Back in when everybody is locked out: done where the database is, by the system, through the same door.

Whoever may run this has the database and the peppers, and could read all there is. What is done is in the log.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final

from argon2 import PasswordHasher
from msgspec.structs import replace

from .door import Door
from .fold import Together
from .postgres.connection import open_pool
from .postgres.users import KnownUser, user_by_email
from .principal import SYSTEM
from .settings import Settings
from .subjects.account import ChangeAccount
from .subjects.small import SubjectCommand
from .subjects.user_commands import ChangePassword, EnableUser, RemoveTotp, UpdateUser

_PASSWORD_BYTES: Final = 18


class NobodySo(Exception):  # noqa: N818 - a complaint
    """No user has this e-mail address; `counterfoil account create` makes an account with an administrator."""


async def recover(settings: Settings, *, email: str, any_network: bool) -> str:
    """Let the user with this address in as an administrator, and return the new password, shown once.

    They are enabled, asked for no one-time code, and from anywhere if `any_network`. May be repeated after a failure.
    """
    async with await open_pool(settings.database_url, size=1) as pool:
        known = await user_by_email(pool, email)
    if known is None:
        raise NobodySo(NobodySo.__doc__)
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    async with Door(settings.database_url) as door:
        await door.execute(Together(tuple(_commands(known, password, any_network=any_network))))
    return password


def _commands(known: KnownUser, password: str, *, any_network: bool) -> Iterator[SubjectCommand]:
    user, by = known.user, replace(SYSTEM, account=known.user.account)
    if any_network:
        policy = replace(known.policy, networks=())
        yield ChangeAccount(account=user.account, id=user.account, by=by, policy=policy)
    yield ChangePassword(account=user.account, id=user.id, by=by, password_hash=PasswordHasher().hash(password))
    yield RemoveTotp(account=user.account, id=user.id, by=by)
    yield UpdateUser(account=user.account, id=user.id, by=by, role="administrator")
    yield EnableUser(account=user.account, id=user.id, by=by)
