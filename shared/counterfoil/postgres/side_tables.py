"""What is kept beside the log for a small subject, written in the transaction of its event: nothing here is sealed."""

from __future__ import annotations

from counterfoil.core.subjects.owner_quota import LiftQuota, SetQuota
from counterfoil.core.subjects.signing_key_events import ActivateKey, PublishKey, RemoveKey
from counterfoil.core.subjects.subject import SubjectCommand
from counterfoil.core.subjects.user_commands import (
    ChangePassword,
    CreateUser,
    EnrolTotp,
    RemoveTotp,
    RemoveUser,
    UseRecoveryCode,
)
from counterfoil.postgres import one_time, owner_quotas, signing_keys
from counterfoil.postgres.connection import Connection


async def keep(connection: Connection, command: SubjectCommand) -> None:
    """Write what this command, which was carried out, brought along besides its events.

    A Refusal undoes all that was written with it: the state alone does not tell which recovery code is meant.
    """
    match command:
        case CreateUser(password_hash=hashed) | ChangePassword(password_hash=hashed):
            await connection.execute(
                """
                insert into password (account_id, user_id, hash) values ($1, $2, $3)
                    on conflict (account_id, user_id) do update set hash = excluded.hash""",
                command.account, command.id, hashed,
            )  # fmt: skip
        case RemoveUser():
            await connection.execute(
                "delete from password where (account_id, user_id) = ($1, $2)", command.account, command.id
            )
            await _forget_second_factor(connection, command)
        case EnrolTotp():
            await one_time.enrol(connection, command.account, command.id, command.sealed_seed, command.last_step)
            await one_time.forget_codes(connection, command.account, command.id)
            await one_time.keep_codes(
                connection, command.account, command.id, command.recovery_digests, command.pepper_id
            )
        case RemoveTotp():
            await _forget_second_factor(connection, command)
        case UseRecoveryCode(index=index, digest=digest):
            await one_time.spend(connection, command.account, command.id, index, digest)
        case PublishKey(key=new):
            await signing_keys.keep(connection, command.account, new)
        case ActivateKey(kid=kid):
            await signing_keys.keep_only(connection, command.account, kid)
        case RemoveKey(kid=kid, successor=successor):
            await signing_keys.forget(connection, command.account, kid)
            if successor is not None:
                await signing_keys.keep(connection, command.account, successor)
        case SetQuota():
            await owner_quotas.keep(connection, command)
        case LiftQuota():
            await owner_quotas.forget(connection, command)
        case _:
            pass


async def _forget_second_factor(connection: Connection, command: SubjectCommand) -> None:
    await one_time.forget_seeds(connection, command.account, command.id)
    await one_time.forget_codes(connection, command.account, command.id)
