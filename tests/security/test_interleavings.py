"""G27. Three API processes under changes and verifications: after the reply to a change, no verification is stale."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from api.service import Caller, basic, founded, settings_for
from counterfoil_dev.postgres import Database
from security.processes import several

EVERYDAY, ALL = 300, 10_000
"""Verifications that begin after the reply to a change."""
WATCHED = 12


@dataclass(slots=True)
class Watched:
    """A token, its accepted credentials, and its ended ones."""

    ref: str
    owner: str
    secret: str
    bearer: str
    dead: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ground:
    """One account at each process, as its administrator and as a verifier."""

    processes: Sequence[ClientSession]
    admin: str
    verifier: str
    checked: list[int] = field(default_factory=lambda: [0])

    def anywhere(self, credentials: str) -> Caller:
        return Caller(random.choice(self.processes), credentials)

    @property
    def chief(self) -> Caller:
        return self.anywhere(self.admin)

    async def verdicts(self, plain: str) -> list[bool]:
        """Whether each process accepts the credential, asked of all at once, each in another way."""
        self.checked[0] += len(self.processes)
        return list(await asyncio.gather(*(self._accepted(process, plain) for process in self.processes)))

    async def _accepted(self, process: ClientSession, plain: str) -> bool:
        match random.randrange(0 if self.verifier else 1, 3 if plain.count(".") == 2 else 4):
            case 0:
                return bool((await Caller(process, self.verifier).form("/v1/introspect", token=plain)).json["active"])
            case 1:
                return (await Caller(process, f"Bearer {plain}").get("/v1/account")).status == 200
            case 2:
                return (await Caller(process, f"Bearer {plain}").get("/v1/tokens/self")).status == 200
            case _:
                return (await Caller(process, basic("", plain)).post("/v1/exchange")).status == 200


Change = Callable[[Ground, Watched], Awaitable[None]]


async def issued(ground: Ground, owner: str) -> Watched:
    body = {"name": "watched", "owner": {"type": "user", "id": owner}, "scopes": ["account.read"]}
    answer = await ground.chief.post("/v1/tokens", body)
    assert answer.status == 201, answer.body
    watched = Watched(answer.json["token"]["id"], owner, answer.json["secret"], "")
    watched.bearer = await bought(ground, watched)
    return watched


async def bought(ground: Ground, watched: Watched) -> str:
    answer = await ground.anywhere(basic("", watched.secret)).post("/v1/exchange")
    assert answer.status == 200, answer.body
    bearer: str = answer.json["access_token"]
    return bearer


async def rotate(ground: Ground, watched: Watched) -> None:
    answer = await ground.chief.post(f"/v1/tokens/{watched.ref}/rotate", {"grace": "0s"})
    assert answer.status == 200, answer.body
    watched.dead += [watched.secret, watched.bearer]
    watched.secret = answer.json["secret"]
    await refused(ground, *watched.dead[-2:])
    watched.bearer = await bought(ground, watched)
    await accepted(ground, watched)


async def suspend(ground: Ground, watched: Watched) -> None:
    assert (await ground.chief.post(f"/v1/tokens/{watched.ref}/suspend", {"reason": "review"})).status == 200
    await refused(ground, watched.secret, watched.bearer)
    assert (await ground.chief.post(f"/v1/tokens/{watched.ref}/resume")).status == 200
    await accepted(ground, watched)


async def disable(ground: Ground, watched: Watched) -> None:
    assert (await ground.chief.post(f"/v1/users/{watched.owner}/disable", {"reason": "on leave"})).status == 200
    await refused(ground, watched.secret, watched.bearer)
    assert (await ground.chief.post(f"/v1/users/{watched.owner}/enable")).status == 200
    await accepted(ground, watched)
    await refused(ground, *watched.dead[-1:])


async def demote(ground: Ground, watched: Watched) -> None:
    """Remove scopes of the token from its owner: the token stays, but may do no more than they may."""
    for scopes, status in ((), 403), (("account.read",), 200):
        assert (await ground.chief.patch(f"/v1/users/{watched.owner}", {"scopes": scopes})).status == 200
        for each in (watched.secret, watched.bearer):
            ground.checked[0] += len(ground.processes)
            asked = (Caller(process, f"Bearer {each}").get("/v1/account") for process in ground.processes)
            assert {answer.status for answer in await asyncio.gather(*asked)} == {status}


async def revoke(ground: Ground, watched: Watched) -> None:
    assert (await ground.chief.post(f"/v1/tokens/{watched.ref}/revoke", {"reason": "the end"})).status == 200
    await refused(ground, watched.secret, watched.bearer)
    fresh = await issued(ground, watched.owner)
    watched.dead += [watched.secret, watched.bearer]
    watched.ref, watched.secret, watched.bearer = fresh.ref, fresh.secret, fresh.bearer


async def refused(ground: Ground, *plain: str) -> None:
    for each in plain:
        assert not any(await ground.verdicts(each))


async def accepted(ground: Ground, watched: Watched) -> None:
    for each in (watched.secret, watched.bearer):
        assert all(await ground.verdicts(each))


@asynccontextmanager
async def grounds(database: Database, directory: Path) -> AsyncIterator[Ground]:
    settings = settings_for(database.app_url)
    credentials = await founded(settings, "interleaved", directory)
    async with AsyncExitStack() as stack, several(database, 3, GUESS_LIMIT="none") as urls:
        processes = [
            await stack.enter_async_context(ClientSession(url, connector=TCPConnector(limit=40))) for url in urls
        ]
        admin = Caller(processes[0], f"Bearer {credentials['admin_token']}")
        verifier = await admin.holder("tokens.introspect")
        yield Ground(processes, admin.credentials, verifier.credentials)


async def lives(ground: Ground, number: int, wanted: int) -> None:
    """One token with its own owner, changed again and again."""
    person = {
        "email": f"user-{number}@interleaved.example.org", "role": "member", "scopes": ["account.read"],
        "password": f"a long one {number}!",
    }  # fmt: skip
    answer = await ground.chief.post("/v1/users", person)
    assert answer.status == 201, answer.body
    watched = await issued(ground, answer.json["user"]["id"])
    changes: tuple[Change, ...] = (rotate, suspend, disable, demote, revoke)
    while ground.checked[0] < wanted:
        await random.choice(changes)(ground, watched)
        del watched.dead[:-8]
        await refused(ground, *random.sample(watched.dead, min(1, len(watched.dead))))


async def interleaved(database: Database, directory: Path, wanted: int) -> None:
    async with grounds(database, directory) as ground, asyncio.TaskGroup() as group:
        for number in range(WATCHED):
            group.create_task(lives(ground, number, wanted))


async def test_no_credential_is_accepted_after_the_reply_that_ended_it(database: Database, tmp_path: Path) -> None:
    await interleaved(database, tmp_path, EVERYDAY)


@pytest.mark.soak
async def test_no_credential_is_accepted_after_the_reply_ten_thousand_times(database: Database, tmp_path: Path) -> None:
    await interleaved(database, tmp_path, ALL)


async def test_the_end_of_all_secrets_ends_them_at_every_process(database: Database, tmp_path: Path) -> None:
    async with grounds(database, tmp_path) as ground:
        credentials = await founded(settings_for(database.app_url), "ended", _made(tmp_path / "ended"))
        person = basic(credentials["admin_login"], credentials["admin_password"])
        ended = Ground(ground.processes, person, "")  # a separate verifier's token would have ended as well
        tokens = [await issued(ended, "1") for _ in range(4)]
        for _ in range(3):
            assert (await ended.chief.post("/v1/account/end-secrets", {"reason": "copied"})).status == 200
            for token in tokens:
                await refused(ended, token.secret, token.bearer)
                await rotate(ended, token)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
