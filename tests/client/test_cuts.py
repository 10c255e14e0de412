"""A cut connection loses no secret and duplicates nothing."""

import asyncio
import time

import asyncpg
import pytest

from client import cutting
from client.cutting import Failure, Proxy
from client.running import Service
from counterfoil.client import (
    Client,
    Invalid,
    OutcomeUnknown,
    Refused,
    SecretNoLongerAvailable,
    Unavailable,
    Unintelligible,
    Unreachable,
)

CUTS = [
    cutting.lose_the_question, cutting.lose_the_answer, cutting.lose_the_end, cutting.arrive_late,
    cutting.say_bad_gateway,
]  # fmt: skip


@pytest.mark.parametrize("cut", CUTS)
async def test_an_interrupted_creation_returns_its_secret_and_has_one_event(
    shaky: Client, ledger: Client, service: Service, proxy: Proxy, cut: Failure
) -> None:
    proxy.failures += [cut, cut]
    made = await shaky.create("nightly", lifetime="90d")
    assert proxy.connections == 3
    assert await service.tokens() == 1
    assert await service.types(made.token.id) == ["created"]
    assert (await ledger.introspect(made.secret)).active


@pytest.mark.parametrize("cut", CUTS)
async def test_an_interrupted_rotation_returns_its_secret_and_has_one_event(
    shaky: Client, ledger: Client, service: Service, proxy: Proxy, cut: Failure
) -> None:
    old = await ledger.create("nightly", lifetime="90d")
    proxy.failures += [cut, cut]
    new = await shaky.rotate(old.token.id, grace="0s")
    assert await service.types(old.token.id) == ["created", "rotated"]
    assert (await ledger.introspect(new.secret)).active
    assert not (await ledger.introspect(old.secret)).active


async def test_an_interrupted_rotation_can_be_repeated_by_hand(
    shaky: Client, ledger: Client, service: Service, proxy: Proxy
) -> None:
    old = await ledger.create("nightly")
    proxy.failures += [cutting.lose_the_answer] * 20
    async with Client(proxy.url, service.token, timeout_seconds=0.5) as hasty:
        with pytest.raises(OutcomeUnknown) as unknown:
            await hasty.rotate(old.token.id, grace="0s")
    proxy.failures.clear()
    key = unknown.value.idempotency_key
    first, second = [await shaky.rotate(old.token.id, grace="0s", idempotency_key=key) for _ in range(2)]
    assert first.secret == second.secret
    assert await service.types(old.token.id) == ["created", "rotated"]
    with pytest.raises(Invalid) as reused:
        await shaky.rotate(old.token.id, grace="1h", idempotency_key=key)
    assert reused.value.name == "key-reused"


@pytest.mark.parametrize("cut", CUTS)
async def test_an_interrupted_conditional_change_is_not_reported_as_stale(
    shaky: Client, ledger: Client, service: Service, proxy: Proxy, cut: Failure
) -> None:
    made = await ledger.create("nightly")
    proxy.failures.append(cut)
    assert (await shaky.update(made.token.id, name="weekly", if_match=1)).revision == 2
    assert await service.types(made.token.id) == ["created", "updated"]


async def test_an_interrupted_revocation_is_not_reported_as_stale(
    shaky: Client, ledger: Client, service: Service, proxy: Proxy
) -> None:
    made = await ledger.create("nightly")
    proxy.failures.append(cutting.lose_the_answer)
    with pytest.raises(OutcomeUnknown):
        await shaky.revoke(made.token.id, reason="done", if_match=1)
    assert await service.types(made.token.id) == ["created", "revoked"]


async def test_a_token_that_rotated_itself_still_gets_the_new_secret(ledger: Client, proxy: Proxy) -> None:
    made = await ledger.create("nightly", scopes=["self.rotate"])
    proxy.failures.append(cutting.lose_the_answer)
    async with Client(proxy.url, made.secret) as own:
        new = await own.rotate("self", grace="0s")
    assert new.token.generation == 2
    async with Client(proxy.url, new.secret) as renewed:
        assert (await renewed.get("self")).id == made.token.id


async def test_an_unanswered_read_changes_nothing(service: Service, proxy: Proxy) -> None:
    proxy.failures += [cutting.lose_the_answer] * 20
    async with Client(proxy.url, service.token, timeout_seconds=0.5) as hasty:
        with pytest.raises(Unreachable):
            await hasty.get("self")


async def test_a_request_that_was_never_sent_is_known_to_have_no_effect(service: Service) -> None:
    async with Client("http://127.0.0.1:1", service.token, timeout_seconds=0.5) as nowhere:
        with pytest.raises(Unreachable):
            await nowhere.create("nightly")


async def test_a_silent_service_is_given_up_in_time(service: Service) -> None:
    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(be_silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    began = time.monotonic()
    async with Client(url, service.token, timeout_seconds=1, try_seconds=0.4) as client:
        with pytest.raises(OutcomeUnknown):
            await client.create("nightly")
    assert time.monotonic() - began < 1.5
    server.close()


async def test_a_client_retries_at_the_requested_time(shaky: Client, proxy: Proxy) -> None:
    proxy.failures.append(cutting.say_too_many)
    began = time.monotonic()
    await shaky.create("nightly")
    assert time.monotonic() - began >= 1


async def test_a_client_waits_no_longer_than_its_timeout(shaky: Client, proxy: Proxy) -> None:
    proxy.failures.append(cutting.say_come_back_tomorrow)
    began = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        await shaky.get("self")
    assert refused.value.status == 503
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("failure", [cutting.break_afterwards, cutting.say_come_back_tomorrow])
async def test_a_change_with_a_server_error_has_an_unknown_outcome(
    shaky: Client, proxy: Proxy, failure: Failure
) -> None:
    proxy.failures.append(failure)
    with pytest.raises(OutcomeUnknown, match=r"HTTP 50\d") as unknown:
        await shaky.create("nightly")
    assert (await shaky.create("nightly", idempotency_key=unknown.value.idempotency_key)).secret


async def test_a_server_that_is_no_ledger_is_reported_as_such(shaky: Client, proxy: Proxy) -> None:
    proxy.failures.append(cutting.say_nonsense)
    with pytest.raises(Unintelligible, match="check the URL"):
        await shaky.get("self")


async def test_a_token_is_never_sent_to_another_host(shaky: Client, proxy: Proxy) -> None:
    proxy.failures.append(cutting.send_elsewhere)
    with pytest.raises(Refused) as refused:
        await shaky.get("self")
    assert refused.value.status == 307


async def test_after_ten_minutes_the_secret_is_reported_as_no_longer_available(
    shaky: Client, service: Service, proxy: Proxy
) -> None:
    made = await shaky.create("nightly", idempotency_key="k" * 32)
    connection = await asyncpg.connect(service.database.owner_url)
    await connection.execute("update idempotency_key set at = at - interval '11 minutes'")
    await connection.close()
    with pytest.raises(SecretNoLongerAvailable) as gone:
        await shaky.create("nightly", idempotency_key="k" * 32)
    assert gone.value.facts["subject"] == str(made.token.id)
    assert proxy.connections == 1
