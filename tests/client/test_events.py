"""Reading a real log over cut connections and restarting processes."""

import asyncio
import base64
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from secrets import token_urlsafe

import pytest

from api.service import served
from client.cutting import Proxy, cut
from client.running import Service, environment_of
from counterfoil.client import Client, Denied, Forbidden, Invalid, LogEvent
from counterfoil.core.codec import commitment, entry_of
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from postgres.sealing import seal_all, sealed_beside


async def replayed(ledger: Client) -> list[LogEvent]:
    return [event async for event in ledger.events()]


async def test_a_log_is_read_completely_and_private_parts_match_their_entries(ledger: Client, service: Service) -> None:
    made = await ledger.create("nightly", owner=("service", "backup"))
    await seal_all(service.database.app_url)
    log = ledger.events()
    events = [event async for event in log]
    assert [event.position for event in events] == [*range(1, len(events) + 1)]
    assert (log.position, log.head) == (len(events), len(events))
    (created,) = [event for event in events if event.subject == made.token.id]
    assert (created.kind, created.type, created.version) == ("token", "created", 1)
    assert created.private is not None
    assert created.private.fields["name"] == "nightly"
    for event in events:
        entry = entry_of(event.entry)
        assert (entry.version, entry.type, entry.at) == (event.version, event.type, event.at)
        if event.private is not None:
            assert entry.private is not None
            assert _base64(commitment(event.private.salt, event.private.text.encode())) == entry.private


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


async def test_a_read_over_a_connection_cut_everywhere_is_complete(
    ledger: Client, service: Service, proxy: Proxy
) -> None:
    await replayed(ledger)  # the first read is an event itself
    for number in range(60):
        await ledger.create(
            f"job-{number}", description=token_urlsafe(300)
        )  # random, so that compression does not help
    await seal_all(service.database.app_url)
    expected = await replayed(ledger)
    for step in (1, 7, 150, 400, 900, 2_000, 5_000):
        proxy.failures = [cut(after=step) for _ in range(4)]
        async with Client(proxy.url, service.token, refused_seconds=10) as shaky:
            assert await replayed(shaky) == expected
    assert not proxy.failures


async def test_a_caller_without_the_right_to_read_the_log_is_refused(ledger: Client, service: Service) -> None:
    made = await ledger.create("nightly", scopes=["tokens.read"])
    async with Client(service.url, made.secret) as other:
        with pytest.raises(Forbidden):
            await replayed(other)
    await ledger.revoke(made.token.id, reason="done")
    async with Client(service.url, made.secret) as other:
        with pytest.raises(Denied):
            await replayed(other)


async def test_a_position_beyond_the_end_is_refused(ledger: Client) -> None:
    with pytest.raises(Invalid, match="The log ends at"):
        await anext(aiter(ledger.events(after=4711)))


@dataclass
class Follower:
    """A client that follows the log, and all the events that it has received."""

    ledger: Client
    seen: list[LogEvent] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self) -> None:
        async for event in self.ledger.events(follow=True):
            self.seen.append(event)
            self.came.set()

    async def reaches(self, position: int) -> None:
        async with asyncio.timeout(60):
            while not self.seen or self.seen[-1].position < position:
                self.came.clear()
                await self.came.wait()


@pytest.mark.soak
async def test_a_follower_receives_what_a_replay_shows_over_cuts_and_restarts(
    ledger: Client, service: Service, proxy: Proxy
) -> None:
    settings = Settings.from_environment(environment_of(service.database), command="api")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sealed_beside(service.database.app_url))
        follower = Follower(await stack.enter_async_context(Client(proxy.url, service.token)))
        following = asyncio.create_task(follower.follow())
        for number in range(60):
            await ledger.create(f"job-{number}")
            if number % 10 == 5:
                proxy.failures.append(cut(after=300 + 200 * number))
            if number % 20 == 10:  # replace the process that the client follows
                proxy.cut_all()
                proxy.target = await stack.enter_async_context(served(make_app(settings)))
        await seal_all(service.database.app_url)
        expected = await replayed(ledger)
        await follower.reaches(len(expected))
        following.cancel()
    assert follower.seen[: len(expected)] == expected


async def test_a_follower_ends_when_its_token_is_revoked(ledger: Client, service: Service) -> None:
    made = await ledger.create("auditor", scopes=["audit.read"])
    async with sealed_beside(service.database.app_url), Client(service.url, made.secret) as auditor:
        follower = Follower(auditor)
        following = asyncio.create_task(follower.follow())
        await follower.reaches(1)
        await ledger.revoke(made.token.id, reason="done")
        with pytest.raises(Denied) as denied:
            await asyncio.wait_for(following, 30)
    assert denied.value.name == "token-revoked"
