"""A creation or rotation under an Idempotency-Key happens once, in every dialect and over all processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from api.service import Caller
from counterfoil_dev.postgres import Database
from counterfoil_dev.valkey import Valkey
from dialects.dialect_clients import SPEAKERS, Speaker
from dialects.pair import Pair, pair_of

AT_ONCE = 6
ROTATE = [each for each in SPEAKERS if "rotate" in each.verbs]


@pytest.fixture
async def pair(database: Database, valkey: Valkey, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_of(database, valkey, tmp_path) as opened:
        yield opened


def name_of(kind: type[Speaker]) -> str:
    return kind.name


async def called(native: Caller, name: str) -> list[str]:
    """The ids of all tokens with this name."""
    return [each["id"] for each in (await native.get("/v1/tokens", name=name)).json["items"]]


@pytest.mark.parametrize("kind", SPEAKERS, ids=name_of)
async def test_a_repeated_creation_makes_one_token_over_both_processes(pair: Pair, kind: type[Speaker]) -> None:
    key = str(uuid4())
    both = pair.repeating(await pair.speaker(kind), key)
    secrets = await asyncio.gather(*(both[n % 2].create("made once") for n in range(AT_ONCE)))
    assert len({*secrets, await both[1].create("made once")}) == 1
    (token,) = await called(pair.native, "made once")
    assert (await pair.native.with_token(secrets[0]).get("/v1/tokens/self")).json["id"] == token

    with pytest.raises(AssertionError):
        await both[1].create("something else")
    assert await called(pair.native, "something else") == []

    other = pair.repeating(await pair.speaker(kind), str(uuid4()))
    assert await other[0].create("made once") != secrets[0]
    assert (await pair.native.post(f"/v1/tokens/{token}/revoke", {"reason": "over"})).status == 200
    with pytest.raises(AssertionError):
        await both[0].create("made once")
    assert len(await called(pair.native, "made once")) == 2


@pytest.mark.parametrize("kind", ROTATE, ids=name_of)
async def test_a_repeated_rotation_happens_once(pair: Pair, kind: type[Speaker]) -> None:
    speaker = await pair.speaker(kind)
    before = await speaker.create("turned once")
    (token,) = await called(pair.native, "turned once")
    number = (await pair.native.get(f"/v1/tokens/{token}")).json["number"]
    both = pair.repeating(speaker, str(uuid4()))
    named = token if kind.ids == "ours" else str(number)
    secrets = await asyncio.gather(*(both[n % 2].rotate(named) for n in range(AT_ONCE)))
    assert len(set(secrets)) == 1
    assert before not in secrets
    assert (await pair.native.get(f"/v1/tokens/{token}")).json["generation"] == 2
    assert (await pair.native.with_token(secrets[0]).get("/v1/tokens/self")).status == 200
