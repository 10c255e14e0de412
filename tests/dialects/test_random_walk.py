"""Random walks over all dialects: whatever callers do, the laws of the ledger hold and all dialects agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api.service import Caller, served, settings_for
from counterfoil.uses.audit.progress import Tally
from counterfoil.uses.audit.whole_log import replay
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from dialects.accounts import opened
from dialects.dialect_clients import SPEAKERS, Known, Speaker

VERBS: Final = ("create", "create", "look", "rename", "renew", "rotate", "rotate", "suspend", "resume", "delete")
WALKS, STEPS = 6, 30


class Step(NamedTuple):
    """A caller does something to one of the present tokens."""

    speaker: int
    verb: str
    which: int


@dataclass(slots=True)
class Model:
    """The expected state of a token."""

    known: Known
    name: str
    secret: str
    maker: str
    status: str = "active"
    dead: tuple[str, ...] = ()
    events: tuple[str, ...] = ("created",)

    def happened(self, event: str) -> None:
        self.events = (*self.events, event)


class Walk:
    """All tokens and callers of one walk."""

    def __init__(self, native: Caller, speakers: list[Speaker], prefix: str) -> None:
        self.native, self.speakers, self.prefix = native, speakers, prefix
        self.tokens: list[Model] = []

    async def step(self, step: Step) -> None:
        able = [each for each in self.speakers if step.verb in each.verbs]
        speaker = able[step.speaker % len(able)]
        if step.verb == "create":
            await self._create(speaker)
        elif self.tokens:
            token = self.tokens[step.which % len(self.tokens)]
            await self._do(speaker, step.verb, token)
            await self._holds(token)

    async def _create(self, speaker: Speaker) -> None:
        name = f"{self.prefix}-{len(self.tokens)}"
        secret = await speaker.create(name)
        itself = (await self.native.with_token(secret).get("/v1/tokens/self")).json
        token = Model(Known(itself["id"], itself["number"]), name, secret, speaker.name)
        self.tokens.append(token)
        await self._holds(token)

    async def _do(self, speaker: Speaker, verb: str, token: Model) -> None:
        found = await speaker.id_of(token.known, token.name)
        if found is None:
            assert token.status == "revoked" or (token.maker, speaker.ids) == ("cloudflare", "opaque")
            return
        if token.status == "revoked":
            assert await speaker.look(found) is None
            return
        match verb:
            case "look":
                assert await speaker.look(found) == token.name
            case "rename":
                token.name += "."
                await speaker.rename(found, token.name)
                token.happened("updated")
            case "renew":
                await speaker.renew(found)
                token.happened("renewed")
            case "rotate":
                fresh = await speaker.rotate(found)
                token.dead, token.secret = (*token.dead, token.secret), fresh
                token.happened("rotated")
            case "suspend" | "resume":
                wanted = "suspended" if verb == "suspend" else "active"
                await (speaker.suspend if verb == "suspend" else speaker.resume)(found)
                if token.status != wanted:
                    token.status = wanted
                    token.happened("suspended" if verb == "suspend" else "resumed")
            case "delete":
                await speaker.delete(found)
                token.status = "revoked"
                token.happened("revoked")

    async def _holds(self, token: Model) -> None:
        """The secret opens what it should and no more, an old one nothing, and the log contains every step."""
        shown = (await self.native.get(f"/v1/tokens/{token.known.id}")).json
        assert (shown["status"], shown["name"], shown["number"]) == (token.status, token.name, token.known.number)
        presented = await self.native.with_token(token.secret).get("/v1/tokens/self")
        if token.status == "active":
            assert presented.json["id"] == token.known.id
        else:
            assert presented.problem == f"token-{token.status}"
        for old in token.dead[-2:]:
            assert (await self.native.with_token(old).get("/v1/tokens/self")).status == 401
        events = (await self.native.get(f"/v1/tokens/{token.known.id}/events", limit=200)).json["items"]
        reported = [each["type"] for each in events if each["type"] not in ("exchanged", "expiring", "grace_ending")]
        assert [each for each in reported if each != "renewed"] == [each for each in token.events if each != "renewed"]
        assert reported.count("renewed") <= token.events.count("renewed")  # renewing to the same moment writes no event
        assert [each["version"] for each in events] == list(range(1, len(events) + 1))

    async def all_say_the_same(self) -> None:
        living = {each.name for each in self.tokens if each.status != "revoked"}
        users = {each.name for each in self.tokens if each.status != "revoked" and each.maker != "cloudflare"}
        for speaker in self.speakers:
            listed = {name for name in await speaker.listed() if name.startswith(f"{self.prefix}-")}
            assert listed == (living if speaker.name == "cloudflare" else users), speaker.name


def drawn(walks: int) -> list[list[Step]]:
    """This many walks, drawn at once, since hypothesis and the event loop cannot be nested."""
    found: list[list[Step]] = []
    steps = st.builds(Step, st.integers(0, 59), st.sampled_from(VERBS), st.integers(0, 9_999))

    @settings(
        max_examples=walks, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(steps, min_size=STEPS, max_size=STEPS))
    def draws(walk: list[Step]) -> None:
        found.append(walk)

    draws()
    return found


@pytest.fixture
async def meeting(database: Database, tmp_path: Path) -> AsyncIterator[tuple[Caller, list[Speaker]]]:
    settings = settings_for(database.app_url)
    account = await opened(settings, "walks", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        yield Caller(session, f"Bearer {account.admin_token}"), [await each.of(session, account) for each in SPEAKERS]


async def walked(meeting: tuple[Caller, list[Speaker]], walks: int) -> set[tuple[str, str]]:
    done: set[tuple[str, str]] = set()
    for turn, steps in enumerate(await asyncio.to_thread(drawn, walks)):
        walk = Walk(*meeting, f"walk{turn}")
        for step in (*(Step(each, "create", 0) for each in range(len(SPEAKERS))), *steps):
            try:
                await walk.step(step)
            except AssertionError as failed:
                failed.add_note(f"at {step} of {steps}")
                raise
        await walk.all_say_the_same()
        done |= {(each.maker, event) for each in walk.tokens for event in each.events}
    return done


async def test_after_any_steps_the_laws_hold(meeting: tuple[Caller, list[Speaker]], database: Database) -> None:
    done = await walked(meeting, WALKS)
    assert {event for _, event in done} >= {"created", "updated", "renewed", "rotated", "suspended", "revoked"}
    assert {maker for maker, _ in done} == {each.name for each in SPEAKERS}
    assert [found async for found in replay(database.app_url, Tally(lambda _done, _total: None))] == []


@pytest.mark.campaign
@pytest.mark.timeout(1200)
async def test_after_very_many_steps_the_laws_hold(meeting: tuple[Caller, list[Speaker]], database: Database) -> None:
    await walked(meeting, 80)
    assert [found async for found in replay(database.app_url, Tally(lambda _done, _total: None))] == []
