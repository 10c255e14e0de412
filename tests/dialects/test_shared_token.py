"""One token used through every dialect: one history in the log, and every row is the fold of it."""

from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from api.service import Caller, served, settings_for
from counterfoil.core.chain import Finding
from counterfoil.uses.audit.progress import Tally
from counterfoil.uses.audit.whole_log import replay
from counterfoil_api.application import make_app
from counterfoil_api.dialects.register import DIALECTS
from counterfoil_dev.postgres import Database
from dialects.accounts import opened
from dialects.dialect_clients import SPEAKERS, Cloudflare, Known, Speaker

SPOKEN = [each for each in SPEAKERS if each.name in {dialect.name for dialect in DIALECTS}]
VERBS = ("create", "renew", "rotate", "look", "delete")
CASTS = [
    cast
    for cast in permutations(SPOKEN, 5)
    if all(verb in speaker.verbs for verb, speaker in zip(VERBS, cast, strict=True)) and cast[0] is not Cloudflare
]
"""Who does what: each dialect one thing, in every way in which they can. A user has no token of Cloudflare's making."""


class Stage:
    """A separate service with one account."""

    def __init__(self, native: Caller, speakers: dict[str, Speaker], database: Database) -> None:
        self.native, self.speakers, self.database = native, speakers, database

    async def known(self, secret: str) -> tuple[Known, dict[str, Any]]:
        itself = await self.native.with_token(secret).get("/v1/tokens/self")
        assert itself.status == 200, itself.body
        return Known(itself.json["id"], itself.json["number"]), itself.json

    async def findings(self) -> list[Finding]:
        return [finding async for finding in replay(self.database.app_url, Tally(lambda _done, _total: None))]


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    settings = settings_for(database.app_url)
    account = await opened(settings, "stage", tmp_path)
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        speakers = {each.name: await each.of(session, account) for each in SPOKEN}
        yield Stage(Caller(session, f"Bearer {account.admin_token}"), speakers, database)


def test_every_dialect_has_a_client_in_these_tests() -> None:
    assert {each.name for each in SPOKEN} == {dialect.name for dialect in DIALECTS}


async def test_a_token_is_created_renewed_rotated_read_and_revoked_each_in_another_dialect(stage: Stage) -> None:
    assert CASTS
    for turn, cast in enumerate(CASTS):
        makes, renews, rotates, sees, ends = (stage.speakers[each.name] for each in cast)
        name = f"story {turn}"
        secret = await makes.create(name)
        token, itself = await stage.known(secret)
        assert (itself["dialect"], itself["name"]) == (makes.name, name)
        await renews.renew(await there(renews, token, name))
        renewed = (await stage.known(secret))[1]
        assert renewed["expires_at"] != itself["expires_at"]
        second = await rotates.rotate(await there(rotates, token, name))
        assert second != secret
        assert (await stage.native.with_token(secret).get("/v1/tokens/self")).problem == "secret-retired"
        assert (await stage.known(second))[0] == token
        assert await sees.look(await there(sees, token, name)) == name
        await ends.delete(await there(ends, token, name))
        assert (await stage.native.with_token(second).get("/v1/tokens/self")).problem == "token-revoked"
        for each in (sees, ends):
            assert name not in await each.listed()
        events = (await stage.native.get(f"/v1/tokens/{token.id}/events")).json["items"]
        assert [event["type"] for event in events] == ["created", "renewed", "rotated", "revoked"]
        assert [event["version"] for event in events] == [1, 2, 3, 4]
    assert await stage.findings() == []


async def there(speaker: Speaker, token: Known, name: str) -> str:
    found = await speaker.id_of(token, name)
    assert found is not None, (speaker.name, name)
    return found


async def test_every_dialect_sees_renames_and_revokes_tokens_of_the_others(stage: Stage) -> None:
    for makes in stage.speakers.values():
        for other in stage.speakers.values():
            name = f"by {makes.name} for {other.name}"
            secret = await makes.create(name)
            token, _ = await stage.known(secret)
            found = await other.id_of(token, name)
            if found is None:  # a service owns it, and this dialect has only users and applications
                assert (makes.name, other.ids) == ("cloudflare", "opaque")
                continue
            assert await other.look(found) == name
            if "suspend" in other.verbs:
                await other.suspend(found)
                assert (await stage.native.with_token(secret).get("/v1/tokens/self")).problem == "token-suspended"
                await other.resume(found)
                await stage.known(secret)
            if "rename" in other.verbs:
                await other.rename(found, f"{name} again")
                assert (await stage.known(secret))[1]["name"] == f"{name} again"
                assert await other.look(found) == f"{name} again"
            await other.delete(found)
            assert await other.look(found) is None
            assert (await stage.native.with_token(secret).get("/v1/tokens/self")).problem == "token-revoked"
    assert await stage.findings() == []
