"""C. Every exchange checks token, owner, account, network and actor again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import ClientSession

from api.oauth import ACCESS_TOKEN, ISSUER, bearer, claims, error, exchanged
from api.service import Answer, Caller, basic, founded
from api.user_fixtures import PASSWORD
from counterfoil.core.scopes import missing
from counterfoil.core.secret import mint
from counterfoil.settings import Settings

INVALID = (400, "invalid_request")


@dataclass
class Story:
    """A separate account with a user's token, a token that acts for them, and the bearers of both."""

    admin: Caller
    person: Caller
    owner: str
    subject: Any
    actor: Any
    bought: str = ""
    acted: str = ""

    def path(self, who: str) -> str:
        return f"/v1/tokens/{(self.subject if who == 'subject' else self.actor)['token']['id']}"

    async def answers(self) -> list[Answer]:
        """Every way to exchange: with the secret, with a bearer, with a bearer that has an actor, and as an actor."""
        acting = {"actor_token": self.actor["secret"], "actor_token_type": ACCESS_TOKEN}
        return [
            await exchanged(self.admin, self.subject["secret"]),
            await exchanged(self.admin, self.bought),
            await exchanged(self.admin, self.acted),
            await exchanged(self.admin, self.subject["secret"], **acting),
            await exchanged(self.admin, self.bought, **acting),
        ]


@pytest.fixture
async def story(settings: Settings, session: ClientSession, tmp_path: Path) -> Story:
    told = await founded(settings, f"exchange-{tmp_path.name}", tmp_path)
    person = Caller(session, basic(told["admin_login"], told["admin_password"]))
    email = f"ada@{tmp_path.name.replace('_', '-')}.example.org"
    made = await person.post(
        "/v1/users", {"email": email, "role": "member", "scopes": ["a.b", "c.*"], "password": PASSWORD}
    )
    assert made.status == 201, made.body
    owner = made.json["user"]["id"]
    # Created by a user, so that no other token's end affects it.
    subject = await person.issue(scopes=["a.b", "c.*"], owner={"type": "user", "id": owner})
    actor = await person.issue(owner={"type": "service", "id": "mailer"})
    acting = {"actor_token": actor["secret"], "actor_token_type": ACCESS_TOKEN}
    bought = await bearer(person, subject["secret"])
    acted = await bearer(person, subject["secret"], **acting)
    return Story(Caller(session, person.credentials), person, owner, subject, actor, bought, acted)


async def revoked(story: Story) -> Answer:
    return await story.person.post(f"{story.path('subject')}/revoke", {"reason": "x"})


async def suspended(story: Story) -> Answer:
    return await story.person.post(f"{story.path('subject')}/suspend")


async def rotated(story: Story) -> Answer:
    return await story.person.post(f"{story.path('subject')}/rotate", {"grace": "0s"})


async def expired(story: Story) -> Answer:
    return await story.person.post(f"{story.path('subject')}/renew", {"lifetime": "1us"})


async def owner_disabled(story: Story) -> Answer:
    return await story.person.post(f"/v1/users/{story.owner}/disable", {"reason": "on leave"})


async def account_ended(story: Story) -> Answer:
    return await story.person.post("/v1/account/end-secrets", {"reason": "a laptop was stolen"})


async def network_closed(story: Story) -> Answer:
    policy = {"networks": ["192.0.2.0/24"]}
    return await story.person.patch("/v1/account", {"policy": policy, "shut_me_out": True})


ENDS: list[Callable[[Story], Awaitable[Answer]]] = [
    revoked, suspended, rotated, expired, owner_disabled, account_ended, network_closed,
]  # fmt: skip


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_every_exchange_checks_token_owner_account_and_network_again(
    story: Story, end: Callable[[Story], Awaitable[Answer]]
) -> None:
    assert [answer.status for answer in await story.answers()] == [200] * 5
    ended = await end(story)
    assert ended.status == 200, ended.body
    expected = {(403, "access_denied")} if end is network_closed else {INVALID}
    assert {error(answer) for answer in await story.answers()} == expected


@pytest.mark.parametrize("what", ["revoke", "suspend", "rotate"])
async def test_the_actor_is_checked_again_too(story: Story, what: str) -> None:
    body = {"revoke": {"reason": "x"}, "rotate": {"grace": "0s"}}.get(what, {})
    assert (await story.person.post(f"{story.path('actor')}/{what}", body)).status == 200
    answers = await story.answers()
    assert [answer.status for answer in answers[:2]] == [200, 200], "who never acted harms nobody"
    assert {error(answer) for answer in answers[2:]} == {INVALID}


async def test_an_actor_can_neither_read_nor_revoke_the_token(story: Story) -> None:
    """The bearer gives the actor its scopes, but no right that a token has over itself."""
    acting = story.admin.with_token(story.acted)
    own = story.admin.with_token(story.bought)
    assert (await acting.get("/v1/tokens/self")).problem == "scope-missing"
    assert (await acting.post("/v1/tokens/self/revoke", {"reason": "x"})).problem == "scope-missing"
    assert (await own.get("/v1/tokens/self")).status == 200
    assert (await own.post("/v1/tokens/self/revoke", {"reason": "found in a log"})).status == 200


async def test_an_enabled_owner_brings_no_revoked_token_back(story: Story) -> None:
    for verb, body in (("disable", {"reason": "x"}), ("enable", {})):
        assert (await story.person.post(f"/v1/users/{story.owner}/{verb}", body)).status == 200
    assert {answer.status for answer in await story.answers()} == {200}
    for step in (revoked, owner_disabled):
        await step(story)
    await story.person.post(f"/v1/users/{story.owner}/enable")
    assert {error(answer) for answer in await story.answers()} == {INVALID}


def scopes(dice: Random) -> list[str]:
    """Branches and leaves of a small tree of scopes."""
    words = (".".join(dice.choices("abx", k=dice.randint(1, 3))) for _ in range(dice.randint(1, 4)))
    return [word + dice.choice(["", ".*"]) for word in words]


def asked(dice: Random) -> dict[str, str]:
    """Any bearer that may be requested."""
    fields: dict[str, str] = {}
    if dice.random() < 0.6:
        fields["scope"] = " ".join(scopes(dice))
    if dice.random() < 0.5:
        fields["audience"] = dice.choice(["mail", "orders", ISSUER])
    if dice.random() < 0.5:
        fields["expires_in"] = str(dice.choice([60, 600, 7_200]))
    return fields


@pytest.mark.parametrize("seed", range(5))
async def test_no_chain_of_exchanges_gains_scope_lifetime_or_audience(admin: Caller, seed: int) -> None:
    dice, given = Random(seed), 0
    for _ in range(10):
        held = scopes(dice)
        text = (await admin.issue(scopes=held, lifetime="20m"))["secret"]
        best: dict[str, Any] = {"scope": " ".join(held), "exp": float("inf"), "aud": None}
        for _ in range(4):
            answer = await exchanged(admin, text, **asked(dice))
            if answer.status != 200:
                assert answer.json["error"] in ("invalid_scope", "invalid_target")
                continue
            given, text = given + 1, answer.json["access_token"]
            told = await claims(admin, text)
            assert not missing(best["scope"].split(), told["scope"].split())
            assert told["exp"] <= best["exp"]
            assert told["exp"] - told["iat"] <= 1_200
            assert best["aud"] in (None, told["aud"])
            best = told
    assert given > 4


@pytest.mark.parametrize("odd", ["", " ", "*", "all", "ALL", "a.b.", ".a", "a..b", "a.b a.c", "A.b", "a.b\t", "é", "a"])
async def test_invalid_scopes_give_no_bearer(admin: Caller, odd: str) -> None:
    issued = await admin.issue(scopes=["a.b"])
    text = await bearer(admin, issued["secret"])
    for subject in (issued["secret"], text):
        assert error(await exchanged(admin, subject, scope=odd)) == (400, "invalid_scope")


async def test_tokens_of_another_account_are_answered_as_unknown(admin: Caller, stranger: Caller) -> None:
    ours, theirs = (await admin.issue())["secret"], (await stranger.issue())["secret"]
    acting = {"actor_token_type": ACCESS_TOKEN}
    foreign = await exchanged(admin, ours, **acting, actor_token=theirs)
    never = await exchanged(admin, ours, **acting, actor_token=mint("service").plain)
    assert (foreign.status, foreign.body) == (never.status, never.body)
    revoked = [await admin.form("/v1/oauth/revoke", token=each) for each in (theirs, mint("service").plain)]
    assert (revoked[0].status, revoked[0].body) == (revoked[1].status, revoked[1].body) == (200, b"{}")
    assert (await exchanged(stranger, theirs)).status == 200
