"""One Idempotency-Key has one effect, and repeats get the same answer for as long as it may be shown."""

import asyncio
from collections import Counter

import pytest
from msgspec.structs import replace

from counterfoil.core.principal import Actor
from counterfoil.core.refusals import Busy, KeyReused, NotFound, SecretNoLongerAvailable
from counterfoil.core.unit_of_work import Outcome
from counterfoil.door import Door
from counterfoil.idempotency import claim
from counterfoil.postgres import idempotency_keys as claims
from counterfoil.postgres.connection import Connection, open_pool
from counterfoil_dev.postgres import Database
from door.asking import ADMIN, PEPPERS, answer, claim_of, create, exchange, revoke, rotate, update
from door.ledger_invariants import judged
from door.other_process import Start

KEY = "0194f4a2-9c1b-7d3e-8f00-000000000001"


async def test_the_same_key_gets_the_same_answer_and_no_second_effect(door: Door, database: Database) -> None:
    first = await door.execute(create(), claim_of("key"), answer)
    again = await door.execute(create(), claim_of("key"), answer)
    assert (again.replayed, again.reply, again.facts) == (True, first.reply, ())
    ledger = await judged(database.owner_url)
    ledger.holds_exactly([first])
    assert (ledger.keys, ledger.secrets) == (1, 1)


async def test_a_key_used_by_many_at_once_has_one_effect(door: Door, database: Database) -> None:
    outcomes = await asyncio.gather(*(door.execute(create(), claim_of("key"), answer) for _ in range(60)))
    assert Counter(outcome.replayed for outcome in outcomes) == {True: 59, False: 1}
    assert len({outcome.reply for outcome in outcomes}) == 1
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_keys_used_in_two_doors_at_once_have_one_effect_each(door: Door, database: Database) -> None:
    async with Door(database.app_url) as other:
        for turn in range(20):
            asked = [
                each.execute(create(), claim_of(f"key {turn} {key}"), answer)
                for key in range(5)
                for each in (door, other)
            ]
            outcomes = await asyncio.gather(*asked)
            for one, two in zip(outcomes[::2], outcomes[1::2], strict=True):
                assert one.reply == two.reply
                assert {one.replayed, two.replayed} == {True, False}
    ledger = await judged(database.owner_url)
    assert (len(ledger.facts), ledger.keys) == (100, 100)


async def test_keys_used_in_two_processes_at_once_have_one_effect_each(database: Database, elsewhere: Start) -> None:
    processes = [await elsewhere(database.app_url) for _ in range(2)]
    for turn in range(10):
        asked = [
            [(create(), claim_of(f"key {turn} {key}")) for key in range(10)] + [(create(), None)] for _ in processes
        ]
        one, two = await asyncio.gather(*(each.ask(asks) for each, asks in zip(processes, asked, strict=True)))
        for first, second in zip(one[:-1], two[:-1], strict=True):
            assert first.reply == second.reply
            assert {first.replayed, second.replayed} == {True, False}
    ledger = await judged(database.owner_url)
    assert (len(ledger.facts), ledger.keys) == (120, 100)


async def test_a_key_with_another_body_is_refused(door: Door, database: Database) -> None:
    first = await door.execute(create(), claim_of("key", b"one"), answer)
    with pytest.raises(KeyReused):
        await door.execute(create(), claim_of("key", b"two"), answer)
    answers = await asyncio.gather(
        *(door.execute(create(), claim_of("other", body), answer) for body in (b"one", b"two")), return_exceptions=True
    )
    assert {type(each) for each in answers} == {Outcome, KeyReused}
    assert len((await judged(database.owner_url)).facts) == 2
    assert first.reply


async def test_keys_of_two_principals_are_independent(door: Door) -> None:
    users = [replace(ADMIN, actor=Actor("user", create().id)) for _ in range(2)]
    claims = [claim(PEPPERS, user, KEY, request=(b"POST",), holds_secret=True) for user in users]
    outcomes = [await door.execute(create(), claimed, answer) for claimed in claims]
    assert outcomes[0].reply != outcomes[1].reply


async def test_a_key_is_free_again_after_a_refusal(door: Door, database: Database) -> None:
    made = create()
    with pytest.raises(NotFound):
        await door.execute(rotate(made), claim_of("key"), answer)
    outcomes = [await door.execute(made), await door.execute(rotate(made), claim_of("key"), answer)]
    assert not outcomes[1].replayed
    ledger = await judged(database.owner_url)
    ledger.holds_exactly(outcomes)
    assert ledger.keys == 1


async def test_simultaneous_repeats_of_a_refused_command_are_each_refused(door: Door, database: Database) -> None:
    answers = await asyncio.gather(
        *(door.execute(rotate(create()), claim_of("key"), answer) for _ in range(12)), return_exceptions=True
    )
    assert {type(each) for each in answers} == {NotFound}
    assert (await judged(database.owner_url)).keys == 0


async def test_an_answer_without_effect_is_kept(door: Door, database: Database) -> None:
    made = create()
    outcomes = [await door.execute(made), await door.execute(revoke(made))]
    first = await door.execute(revoke(made), claim_of("key", holds_secret=False), answer)
    again = await door.execute(revoke(made), claim_of("key", holds_secret=False), answer)
    assert (first.facts, first.replayed, again.replayed) == ((), False, True)
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_a_secret_is_shown_again_for_ten_minutes_only(door: Door, database: Database, owner: Connection) -> None:
    made = create()
    first = await door.execute(made, claim_of("key"), answer)
    await owner.execute("update idempotency_key set at = at - interval '9 minutes 50 seconds'")
    assert (await door.execute(create(), claim_of("key"), answer)).reply == first.reply
    await owner.execute("update idempotency_key set at = at - interval '11 seconds'")
    with pytest.raises(SecretNoLongerAvailable) as refused:
        await door.execute(create(), claim_of("key"), answer)
    assert refused.value.facts == {"subject": str(made.id)}
    async with await open_pool(database.app_url, size=1) as pool:
        assert await claims.forget_secrets(pool) == 1
    assert await owner.fetchval("select reply is null from idempotency_key")
    with pytest.raises(SecretNoLongerAvailable):
        await door.execute(create(), claim_of("key"), answer)


async def test_an_answer_without_a_secret_is_kept_for_a_day(door: Door, owner: Connection) -> None:
    made = create()
    await door.execute(made)
    asked = claim_of("key", holds_secret=False)
    first = await door.execute(update(made, name="weekly"), asked, answer)
    await owner.execute("update idempotency_key set at = at - interval '23 hours 59 minutes'")
    assert (await door.execute(update(made, name="weekly"), asked, answer)).reply == first.reply


async def test_a_key_is_deleted_after_a_day(door: Door, database: Database, owner: Connection) -> None:
    outcomes = [await door.execute(create(), claim_of("key"), answer)]
    await owner.execute("update idempotency_key set at = at - interval '24 hours 1 second'")
    asked = [door.execute(create(), claim_of("key", b"another body"), answer) for _ in range(5)]
    outcomes += await asyncio.gather(*asked)
    assert Counter(outcome.replayed for outcome in outcomes) == {False: 2, True: 4}
    ledger = await judged(database.owner_url)
    ledger.holds_exactly(outcomes)
    assert ledger.keys == 1


async def test_a_key_claimed_by_a_frozen_process_is_busy_and_delays_no_other_command(
    door: Door, database: Database, owner: Connection
) -> None:
    made, claimed = create(), claim_of("key")
    outcomes = [await door.execute(made)]
    await owner.execute("begin")
    await owner.execute(
        "insert into idempotency_key (account_id, key_digest, body_digest) values ($1, $2, $3)",
        claimed.account, claimed.key_digest, claimed.body_digest,
    )  # fmt: skip
    waiting = asyncio.create_task(door.execute(create(), claimed, answer))
    while not waiting.done():
        async with asyncio.timeout(4):
            outcomes += await asyncio.gather(*(door.execute(exchange(made)) for _ in range(10)))
    with pytest.raises(Busy):
        await waiting
    await owner.execute("rollback")
    outcomes.append(await door.execute(create(), claimed, answer))
    (await judged(database.owner_url)).holds_exactly(outcomes)


async def test_neither_key_nor_answer_can_be_read_in_the_database(door: Door, owner: Connection) -> None:
    key = "a-key-that-nobody-else-should-ever-see"
    outcome = await door.execute(create(), claim_of(key), answer)
    row = await owner.fetchrow("select key_digest, body_digest, reply from idempotency_key")
    assert row
    stored = b"".join(row.values())
    assert key.encode() not in stored
    assert (outcome.reply or b"") not in stored
