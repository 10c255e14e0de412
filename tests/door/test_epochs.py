"""The end of all secrets is an epoch and not a time: it also ends secrets made by a clock that was ahead."""

import asyncio

import pytest
import uuid_utils.compat as uuids
from msgspec.structs import replace

from counterfoil.core.principal import SYSTEM, Actor, Principal
from counterfoil.core.refusals import SecretEnded
from counterfoil.core.subjects.account import CreateAccount, EndSecrets
from counterfoil.core.subjects.token.commands import Create
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.postgres.connection import Connection
from door.asking import create, exchange, rotate

ACCOUNT = uuids.uuid7()
BY = replace(SYSTEM, account=ACCOUNT)
END = EndSecrets(account=ACCOUNT, id=ACCOUNT, by=BY, reason="copied")


def issue(by: Principal = BY) -> Create:
    return create(account=ACCOUNT, by=by)


async def test_a_secret_made_while_the_clock_was_ahead_ends_with_the_others(door: Door, owner: Connection) -> None:
    await door.execute(CreateAccount(account=ACCOUNT, id=ACCOUNT, by=BY, name="Acme"))
    early, kept = issue(), issue()
    await asyncio.gather(door.execute(early), door.execute(kept))
    await owner.execute("update token set at = at + interval '1 hour', created_at = created_at + interval '1 hour'")
    await door.execute(END)
    for dead in (early, kept):
        with pytest.raises(SecretEnded):
            await door.execute(exchange(dead))
    anew = replace(rotate(kept, grace_seconds=3600), by=BY)
    await door.execute(anew)
    await door.execute(replace(exchange(kept), digests=(anew.secret.digest,)))
    with pytest.raises(SecretEnded):  # its grace has ended too
        await door.execute(exchange(kept))


async def test_an_ended_secret_cannot_create_one_that_outlives_it(door: Door) -> None:
    await door.execute(CreateAccount(account=ACCOUNT, id=ACCOUNT, by=BY, name="Acme"))
    for _ in range(20):
        caller = create(account=ACCOUNT, by=BY, scopes=("all",), lifetime="forever")
        await door.execute(caller)
        asking = Principal(actor=Actor("token", caller.id), account=ACCOUNT, scopes=("all",), generation=1)
        made = [issue(asking) for _ in range(10)]
        *answers, _ = await asyncio.gather(
            *(door.execute(each) for each in made[:5]), door.execute(END), return_exceptions=True
        )
        answers += await asyncio.gather(*(door.execute(each) for each in made[5:]), return_exceptions=True)
        assert all(isinstance(answer, SecretEnded) for answer in answers[5:])
        for command, answer in zip(made, answers, strict=True):
            if isinstance(answer, Outcome):
                with pytest.raises(SecretEnded):
                    await door.execute(exchange(command))
