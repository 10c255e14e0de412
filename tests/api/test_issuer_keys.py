"""How long the keys of an OIDC issuer are cached, and how its JWTs are answered while it fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client.registry import REGISTRY

from api.certificates import Authority
from api.egress import egress
from api.oidc_issuer import AUDIENCE, DISCOVERY, OidcIssuer, oidc_issuer
from counterfoil.uses import egress as module
from counterfoil.uses.egress import Egress
from counterfoil_api.auth.issuers.fetching import FetchedKeys, fetched_keys
from counterfoil_api.auth.issuers.issuers import AT_ONCE, MOST_ISSUERS, Issuers
from counterfoil_api.auth.issuers.keys import KeySet, key_set_of
from counterfoil_api.http.errors import AssertionRefused, IssuerUnavailable

HOUR = 3_600


@dataclass
class World:
    """An issuer, the verifier of its JWTs, and the verifier's clock."""

    issuer: OidcIssuer
    way: InitVar[Egress]
    seconds: float = 1_000_000.0
    issuers: Issuers = field(init=False)

    def __post_init__(self, way: Egress) -> None:
        self.issuers = Issuers(partial(fetched_keys, way), clock=lambda: self.seconds)

    async def says(self, text: str | None = None) -> str:
        """The result for a JWT."""
        try:
            await self.issuers.verified(
                text or self.issuer.jwt(), issuer=self.issuer.url, audience=AUDIENCE, at=datetime.now(UTC)
            )
        except AssertionRefused:
            return "refused"
        except IssuerUnavailable as refusal:
            return f"unavailable for {refusal.facts['retry_after']} s"
        return "believed"

    def break_down(self, status: int = 503) -> None:
        self.issuer.replies[DISCOVERY] = web.Response(status=status)

    @property
    def requested(self) -> int:
        """The number of requests for the issuer's configuration; each fetch begins with one."""
        return self.issuer.requested.count(DISCOVERY)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.at(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def world(authority: Authority, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        oidc_issuer(authority, tmp_path) as issuer,
        egress(authority, issuer.url.removeprefix("https://")) as way,
    ):
        made = World(issuer, way)
        yield made
        await made.issuers.close()


async def test_a_rotated_key_is_found_and_the_old_one_is_refused(world: World) -> None:
    old = world.issuer.jwt()
    assert await world.says(old) == "believed"
    world.issuer.rotate()
    world.seconds += 61
    assert [await world.says(), await world.says(old), world.requested] == ["believed", "refused", 2]


async def test_unknown_keys_are_fetched_at_most_once_a_minute(world: World) -> None:
    assert await world.says() == "believed"
    for seconds, requested in ((59, 1), (1, 2), (59, 2), (1, 3)):
        world.seconds += seconds
        made = [world.issuer.jwt({"kid": f"unknown {number}"}) for number in range(50)]
        assert set(await asyncio.gather(*map(world.says, made))) == {"refused"}
        assert (world.requested, await world.says()) == (requested, "believed")


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [("", 300), ("max-age=120", 120), ("public, Max-Age=600, must-revalidate", 600), ("max-age=0", 60),
     ("no-store", 60), ("No-Cache, max-age=600", 60), ("max-age=86400", HOUR), ("max-age=999999999999", HOUR),
     ("max-age=-1", 300)],
)  # fmt: skip
async def test_keys_are_cached_as_long_as_the_issuer_says_within_an_hour(
    world: World, cache_control: str, seconds: int
) -> None:
    world.issuer.cache_control = cache_control
    old = world.issuer.jwt()
    assert await world.says(old) == "believed"
    world.issuer.rotate()
    world.seconds += seconds - 1
    assert (await world.says(old), world.requested) == ("believed", 1)
    world.seconds += 1
    # In an emergency the issuer removes a stolen key; JWTs signed with it are refused from then on.
    assert (await world.says(old), world.requested) == ("refused", 2)


async def test_an_unavailable_issuer_refuses_nobody_for_an_hour(world: World) -> None:
    world.issuer.cache_control = "max-age=60"
    assert await world.says() == "believed"
    world.break_down()
    world.seconds += HOUR - 1
    assert [await world.says() for _ in range(5)] == ["believed"] * 5
    assert world.requested == 2  # it is not retried for ten seconds
    # Whether it has a new key is unknown now.
    assert await world.says(world.issuer.jwt({"kid": "new"})) == "unavailable for 10 s"
    world.seconds += 4
    assert (await world.says(), world.requested) == ("unavailable for 6 s", 2)
    world.seconds += 6
    assert (await world.says(), world.requested) == ("unavailable for 10 s", 3)
    world.issuer.replies.clear()
    world.seconds += 10
    assert (await world.says(), world.requested) == ("believed", 4)


async def test_an_issuer_that_never_answered_is_unavailable(world: World) -> None:
    world.break_down()
    assert [await world.says() for _ in range(3)] == ["unavailable for 10 s"] * 3
    assert world.requested == 1
    world.issuer.replies.clear()
    world.seconds += 10
    assert await world.says() == "believed"


async def test_simultaneous_requests_share_one_fetch(world: World) -> None:
    world.issuer.delay_seconds = 0.2
    assert set(await asyncio.gather(*(world.says() for _ in range(200)))) == {"believed"}
    assert world.issuer.requested == [DISCOVERY, "/keys"]


async def test_a_cancelled_request_does_not_cancel_the_fetch_of_others(world: World) -> None:
    world.issuer.delay_seconds = 0.2
    first, second = (asyncio.create_task(world.says()) for _ in range(2))
    await asyncio.sleep(0.1)
    first.cancel()
    assert (await second, world.requested) == ("believed", 1)


async def test_a_slow_issuer_delays_nobody_while_its_keys_are_cached(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterfoil_api.auth.issuers.issuers._PATIENCE_SECONDS", 0.1)
    world.issuer.cache_control = "max-age=60"
    assert await world.says() == "believed"
    world.issuer.delay_seconds, world.seconds = 60, world.seconds + 61
    assert (await world.says(), world.issuer.requested) == ("believed", [DISCOVERY, "/keys", DISCOVERY])


async def test_a_slow_issuer_without_cached_keys_is_unavailable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    world.issuer.delay_seconds = 60
    assert await world.says() == "unavailable for 10 s"


LIES: dict[str, object] = {
    "another issuer": {"issuer": "https://evil.example"},
    "the issuer with a slash": {"issuer": "{}/"},
    "no issuer": {"issuer": None},
    "keys inside": {"jwks_uri": "https://169.254.169.254/keys"},
    "keys in the clear": {"jwks_uri": "http://127.0.0.1/keys"},
    "keys at another port": {"jwks_uri": "https://127.0.0.1:1/keys"},
    "keys of a file": {"jwks_uri": "file:///etc/passwd"},
    "no address of keys": {"jwks_uri": None},
    "many addresses of keys": {"jwks_uri": ["{}/keys"]},
    "a page": b"<html>",
    "a list": b"[]",
    "nothing": b"",
    "a huge page": b" " * 100_000,
    "the issuer twice": b'{"issuer":"https://evil.example","issuer":"{}","jwks_uri":"{}/keys"}',
}


@pytest.mark.parametrize("lie", LIES)
async def test_an_invalid_configuration_gives_no_keys(world: World, lie: str) -> None:
    right = {"issuer": "{}", "jwks_uri": "{}/keys"}
    answer = LIES[lie]
    body = json.dumps(right | answer).encode() if isinstance(answer, dict) else answer
    assert isinstance(body, bytes)
    world.issuer.replies[DISCOVERY] = web.Response(body=body.replace(b"{}", world.issuer.url.encode()))
    assert await world.says() == "unavailable for 10 s"
    assert world.issuer.requested == [DISCOVERY]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"keys":{}}', b'{"keys":null}', b'{"keys":[],"keys":[]}', b" " * 100_000,
     json.dumps({"keys": [{}] * 101}).encode()],
)  # fmt: skip
async def test_unreadable_keys_are_no_keys(world: World, body: bytes) -> None:
    world.issuer.replies["/keys"] = web.Response(body=body)
    assert await world.says() == "unavailable for 10 s"


@pytest.mark.parametrize("where", [DISCOVERY, "/keys"])
async def test_redirects_of_an_issuer_are_not_followed(world: World, where: str) -> None:
    world.issuer.replies[where] = web.Response(status=302, headers={"Location": "http://169.254.169.254/"})
    assert await world.says() == "unavailable for 10 s"


async def test_unusable_keys_do_not_affect_others(world: World) -> None:
    odd: list[object] = [
        7, None, {}, {"kty": ["RSA"]}, {"kty": "RSA"}, {"kty": "RSA", "n": "AQ", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}, {"kty": "OKP", "crv": "X25519", "x": "AQ"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AQ"}, {**world.issuer.key.jwk, "kid": 7},
        {"kty": "EC", "crv": ["P-256"]},
        {**world.issuer.key.jwk, "key_ops": "verify"}, {**world.issuer.key.jwk, "n": "A" * 20_000},
    ]  # fmt: skip
    content = json.dumps({"keys": [*odd, world.issuer.key.jwk]}).encode()
    assert [key.kid for key in key_set_of(content).keys] == ["first"]
    world.issuer.replies["/keys"] = web.Response(body=content)
    assert await world.says() == "believed"


async def test_the_url_in_a_forged_jku_is_never_requested(world: World, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    async with oidc_issuer(authority, tmp_path / "evil") as evil:
        evil.rotate("first")
        for header in ({"jku": f"{evil.url}/keys"}, {"x5u": f"{evil.url}/keys"}, {"jwk": evil.key.jwk}, {}):
            assert await world.says(evil.jwt(header, iss=world.issuer.url)) == "refused"
        assert await world.says(evil.jwt()) == "refused"
        assert evil.requested == []


async def test_the_numbers_of_cached_issuers_and_simultaneous_fetches_are_limited() -> None:
    requested: list[str] = []
    gate = asyncio.Event()

    async def fetch(url: str) -> FetchedKeys:
        requested.append(url)
        await gate.wait()
        return FetchedKeys(KeySet(()), None)

    issuers, some = Issuers(fetch), OidcIssuer("https://idp.example.org")

    async def ask(number: int) -> type[Exception]:
        with pytest.raises((AssertionRefused, IssuerUnavailable)) as refused:
            await issuers.verified(some.jwt(), issuer=f"{number}", audience=AUDIENCE, at=datetime.now(UTC))
        return refused.type

    waiting = [asyncio.create_task(ask(number)) for number in range(AT_ONCE)]
    await asyncio.sleep(0)
    assert await ask(AT_ONCE) is IssuerUnavailable
    gate.set()
    assert {await each for each in waiting} == {AssertionRefused}
    for number in range(AT_ONCE, MOST_ISSUERS):
        assert await ask(number) is AssertionRefused
    assert len(requested) == MOST_ISSUERS
    await ask(0)  # from memory; now the most recently used
    await ask(MOST_ISSUERS)
    await ask(0)
    assert len(requested) == MOST_ISSUERS + 1
    await ask(1)  # evicted for the newest
    assert len(requested) == MOST_ISSUERS + 2
    await issuers.close()


async def test_results_of_fetches_are_counted_and_logged_without_the_jwt(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    def counted(outcome: str) -> float:
        return REGISTRY.get_sample_value("counterfoil_issuer_fetches_total", {"outcome": outcome}) or 0

    text, before = world.issuer.jwt(), (counted("fetched"), counted("status"))
    await world.says(text)
    world.break_down()
    world.seconds += HOUR
    await world.says(text)
    assert (counted("fetched"), counted("status")) == (before[0] + 1, before[1] + 1)
    out = "".join(capsys.readouterr())
    assert "issuer_keys_fetched" in out
    assert "reason=status" in out
    assert text.rpartition(".")[2] not in out
