"""Restores an administrator's access when everybody is locked out. The operator runs it with access to the database.

The system is the actor, and the commands go through the door, so that the log has their events. It gives no new power:
an operator with the database and the peppers can read everything anyway.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final, NamedTuple
from uuid import UUID

from argon2 import PasswordHasher
from msgspec.structs import replace

from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.subjects.account import ChangeAccount
from counterfoil.core.subjects.subject import Command
from counterfoil.core.subjects.user import login_of
from counterfoil.core.subjects.user_commands import ChangePassword, EnableUser, RemoveTotp, UpdateUser
from counterfoil.core.unit_of_work import AllOrNothing
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil.postgres.users import KnownUser, first_account, users_by_email
from counterfoil.settings import Settings

_PASSWORD_BYTES: Final = 18


class NoSuchUser(Exception):  # noqa: N818 - named like the refusals
    """No user has this e-mail address; `counterfoil account create` makes an account with an administrator."""


class SeveralUsers(Exception):  # noqa: N818 - named like the refusals
    """Users of several accounts have this e-mail address; say which one you mean."""


class Recovered(NamedTuple):
    """The credentials to log in with."""

    login: str
    password: str


async def recover(settings: Settings, *, email: str, account: UUID | None, any_network: bool) -> Recovered:
    """Make the user with this address an administrator again, and return the new password, which is shown once.

    It enables the user, removes one-time codes, and with `any_network` allows all networks. It may be repeated after a
    failure. Raises NoSuchUser, or SeveralUsers if no account is named.
    """
    async with await open_pool(settings.database_url, size=1) as pool:
        known = _one_of(await users_by_email(pool, email), account)
        first = await first_account(pool, settings.default_account)
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    async with Door(settings.database_url) as door:
        await door.execute(AllOrNothing(tuple(_commands(known, password, any_network=any_network))))
    return Recovered(login_of(known.user.name or email, known.user.account, first or NIL), password)


def _one_of(found: list[KnownUser], account: UUID | None) -> KnownUser:
    meant = [known for known in found if account in (None, known.user.account)]
    if not meant:
        raise NoSuchUser(
            NoSuchUser.__doc__ if account is None else f"No user of the account {account} has this address."
        )
    if len(meant) > 1:
        accounts = "".join(f"\n  --account {known.user.account}" for known in meant)
        raise SeveralUsers(f"{SeveralUsers.__doc__}{accounts}")
    return meant[0]


def _commands(known: KnownUser, password: str, *, any_network: bool) -> Iterator[Command]:
    user, by = known.user, replace(SYSTEM, account=known.user.account)
    if any_network:
        policy = replace(known.policy, networks=())
        yield ChangeAccount(account=user.account, id=user.account, by=by, policy=policy)
    yield ChangePassword(account=user.account, id=user.id, by=by, password_hash=PasswordHasher().hash(password))
    yield RemoveTotp(account=user.account, id=user.id, by=by)
    yield UpdateUser(account=user.account, id=user.id, by=by, role="administrator")
    yield EnableUser(account=user.account, id=user.id, by=by)
