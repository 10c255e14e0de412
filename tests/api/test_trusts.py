"""CI without stored secrets: a JWT of an OIDC issuer is exchanged for a bearer of the token that trusts it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import ClientSession

from api.certificates import Authority
from api.oauth import ACCESS_TOKEN, EXCHANGE, TOKEN, anybody, bearer, claims, error
from api.oidc_issuer import OidcIssuer, oidc_issuer
from api.service import Caller, basic, founded, served, settings_for
from api.trusts import CLAIMS, ID_TOKEN, Trusting, trust_in
from counterfoil.settings import Settings
from counterfoil_api.application import make_app

NOT_TRUSTED = (
    "The subject_token is no JWT that this token trusts: it has to be valid, and signed by the trusted issuer."
)


@pytest_asyncio.fixture(scope="module")
async def issuer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[OidcIssuer, Authority]]:
    directory = tmp_path_factory.mktemp("issuer")
    authority = Authority.at(directory)
    async with oidc_issuer(authority, directory) as made:
        yield made, authority


@pytest_asyncio.fixture(scope="module")
async def trusted_settings(api_settings: Settings, issuer: tuple[OidcIssuer, Authority]) -> Settings:
    made, authority = issuer
    allowed = made.url.removeprefix("https://")
    return settings_for(api_settings.database_url, EGRESS_ALLOWED=allowed, EGRESS_CA_FILE=str(authority.file))


@pytest_asyncio.fixture(scope="module")
async def trusting(
    trusted_settings: Settings, issuer: tuple[OidcIssuer, Authority], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Trusting]:
    credentials = await founded(trusted_settings, "trusting", tmp_path_factory.mktemp("trusting"))
    async with served(make_app(trusted_settings)) as url, ClientSession(url) as session:
        yield Trusting(Caller(session, f"Bearer {credentials['admin_token']}"), issuer[0])


async def test_a_token_with_a_trust_has_no_secret_and_shows_its_conditions(
    trusting: Trusting,
) -> None:
    answer = await trusting.admin.post(
        "/v1/tokens", {"name": "deploy", "trust": trust_in(trusting.issuer, claims={"repository": "acme/app"})}
    )
    assert (answer.status, set(answer.json)) == (201, {"token"})
    token = answer.json["token"]
    assert token["trust"] == {**trust_in(trusting.issuer), "claims": {"repository": ["acme/app"]}, "once": False}
    assert (token["trust_by"]["kind"], token["trust_by"]["id"]) == ("token", token["creator"]["id"])
    assert (token["hint"], token["generation"], token["status"], token["refused"]) == ("", 1, "active", None)
    ordinary = (await trusting.admin.issue())["token"]
    assert (ordinary["trust"], ordinary["trust_by"]) == (None, None)
    listed = {each["id"]: each for each in (await trusting.admin.get("/v1/tokens", limit=100)).json["items"]}
    assert listed[token["id"]]["trust"] == token["trust"]
    assert listed[token["id"]]["trust_by"]["id"] == token["trust_by"]["id"]


async def test_a_jwt_is_exchanged_for_a_bearer_with_the_scopes_of_the_token(trusting: Trusting) -> None:
    token = await trusting.issue(scopes=["deploy.*", "own.read"], lifetime="30d", owner={"type": "service", "id": "ci"})
    for fields in ({}, {"subject_token_type": ID_TOKEN}):
        answer = await trusting.exchange(token, **fields)
        assert (answer.status, answer.json["scope"], answer.json["issued_token_type"]) == (
            200, "deploy.* own.read", ACCESS_TOKEN,
        )  # fmt: skip
    found = await claims(trusting.admin, answer.json["access_token"])
    assert (found["client_id"], found["sub"], found["aud"]) == (token["id"], "ci", "https://tokens.example.org")
    holder = trusting.admin.with_token(answer.json["access_token"])
    assert (await holder.get("/v1/tokens/self")).json["id"] == token["id"]
    less = await trusting.exchange(token, scope="deploy.run", audience="https://deploy.example", expires_in="60")
    assert (less.json["scope"], less.json["expires_in"]) == ("deploy.run", 60)
    assert (await claims(trusting.admin, less.json["access_token"]))["aud"] == "https://deploy.example"
    assert error(await trusting.exchange(token, scope="mail.send")) == (400, "invalid_scope")


async def test_every_exchange_is_an_event_with_only_the_deciding_claims(trusting: Trusting) -> None:
    token = await trusting.issue()
    jwt = trusting.issuer.jwt(email="ada@acme.example", actor="ada-of-acme", jti="the-very-jti")
    await trusting.bearer(token, jwt)
    events = await trusting.admin.get(f"/v1/tokens/{token['id']}/events")
    created, exchanged = events.json["items"]
    assert created["data"]["trust"]["claims"] == CLAIMS
    assert exchanged["type"] == "exchanged"
    found = exchanged["data"]["assertion"]
    assert found["claims"] == {
        "sub": "repo:acme/app:ref:refs/heads/main", "repository": "acme/app", "ref": "refs/heads/main",
    }  # fmt: skip
    assert (found["issuer"], len(found["jti"])) == (trusting.issuer.url, 64)
    for word in (b"ada@", b"ada-of", b"the-very-jti", jwt.encode(), jwt.rpartition(".")[2].encode()):
        assert word not in events.body


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"repository": "acme/app-evil"}, "repository"),
        ({"repository": "evil/app"}, "repository"),
        ({"ref": "refs/heads/feature"}, "ref"),
        ({"ref": ...}, "ref"),
        ({"ref": ["refs/heads/x", "refs/heads/y"]}, "ref"),
        ({"repository": "evil/app", "ref": 7}, "ref, repository"),
    ],
)
async def test_a_claim_that_does_not_match_is_named(trusting: Trusting, changed: dict[str, object], named: str) -> None:
    found = await trusting.refused(await trusting.issue(), trusting.issuer.jwt(None, **changed))
    assert found == (
        f"The JWT does not meet the token's conditions on {named}; compare its claims with the token's trust."
    )


async def test_lists_and_nested_claims_match(trusting: Trusting) -> None:
    pods = {"kubernetes.io.namespace": "ci", "kubernetes.io.serviceaccount.name": "deploy*", "groups": "admins"}
    token = await trusting.issue(trust={"claims": pods})
    pod = {"kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "deployer", "uid": "7"}}}
    await trusting.bearer(
        token, trusting.issuer.jwt(None, **pod, groups=["readers", "admins"], aud=["x", _audience(token)])
    )
    for wrong in ({"groups": ["readers"]}, {"groups": ["admins"], "kubernetes.io": {"namespace": "prod"}}):
        assert "conditions on" in await trusting.refused(token, trusting.issuer.jwt(None, **{**pod, **wrong}))


def _audience(token: dict[str, dict[str, str]]) -> str:
    return token["trust"]["audience"]


async def test_an_untrusted_jwt_learns_nothing(trusting: Trusting) -> None:
    token, ordinary = await trusting.issue(), (await trusting.admin.issue())["token"]
    dead = await trusting.issue()
    await trusting.admin.post(f"/v1/tokens/{dead['id']}/revoke", {"reason": "left"})
    good = trusting.issuer.jwt()
    forged = good[:-6] + ("AAAAAA" if not good.endswith("AAAAAA") else "BBBBBB")
    for client, jwt in (
        (token, forged), (dead, forged),
        (ordinary, good), ("01a20070-9783-75f2-ab79-af3b16925535", good), ("nobody", good), (token["id"][:-1], good),
    ):  # fmt: skip
        assert await trusting.refused(client, jwt) == NOT_TRUSTED, (client, jwt)
    assert await trusting.refused(token, "a.b.c") == await trusting.refused("nobody", "a.b.c")
    for wrong in ({"aud": "https://elsewhere.example"}, {"iss": "https://elsewhere.example"}, {"exp": 1_000_000_000}):
        assert "JWT" in await trusting.refused(token, trusting.issuer.jwt(None, **wrong))


async def test_a_jwt_is_checked_against_the_trust_of_the_named_token(trusting: Trusting, stranger: Caller) -> None:
    """Another account may trust the same issuer; each token accepts only what its own conditions allow."""
    theirs = await trusting.issue(stranger, scopes=[], trust={"claims": {"repository": "evil/app"}})
    ours = await trusting.issue()
    evil = trusting.issuer.jwt(repository="evil/app")
    await trusting.bearer(theirs, evil)
    assert "conditions on repository" in await trusting.refused(ours, evil)
    assert "conditions on repository" in await trusting.refused(theirs)
    seen = await trusting.admin.get(f"/v1/tokens/{theirs['id']}")
    assert (seen.status, seen.problem) == (404, "not-found")


async def test_an_ended_token_gives_no_bearer_and_names_the_reason(trusting: Trusting) -> None:
    token, brief = await trusting.issue(), await trusting.issue(lifetime="300ms")
    await trusting.admin.post(f"/v1/tokens/{token['id']}/suspend", {})
    assert "suspended" in await trusting.refused(token)
    await trusting.admin.post(f"/v1/tokens/{token['id']}/resume", {})
    holder = await trusting.bearer(token, scope="deploy.x")
    await trusting.admin.post(f"/v1/tokens/{token['id']}/revoke", {"reason": "left"})
    assert "revoked" in await trusting.refused(token)
    assert (await holder.get("/v1/tokens/self")).problem == "token-revoked"
    await asyncio.sleep(0.3)
    assert "expired" in await trusting.refused(brief)


async def test_networks_and_rate_limits_apply_to_a_trust_too(trusting: Trusting) -> None:
    away = await trusting.issue(networks=["198.51.100.0/24"])
    assert error(await trusting.exchange(away)) == (403, "access_denied")


async def test_a_new_trust_applies_at_once_and_ends_the_bearers_of_the_previous_one(trusting: Trusting) -> None:
    token = await trusting.issue()
    path, holder = f"/v1/tokens/{token['id']}", await trusting.bearer(token)
    wider = trust_in(trusting.issuer, claims={"repository": ["acme/app"], "ref": ["refs/heads/main", "refs/tags/*"]})
    changed = await trusting.admin.patch(path, {"trust": wider})
    assert (changed.status, changed.json["trust"]["claims"]) == (200, wider["claims"])
    assert (changed.json["generation"], changed.json["revision"]) == (2, 2)
    assert (await holder.get("/v1/tokens/self")).problem == "secret-retired"
    await trusting.bearer(token, trusting.issuer.jwt(ref="refs/tags/v1"))
    again = await trusting.admin.patch(path, {"trust": wider})
    assert again.json["revision"] == 2
    then = await trusting.admin.get(path, as_of=1)
    assert then.json["trust"]["claims"] == CLAIMS
    assert (await trusting.admin.patch(path, {"trust": None})).problem == "invalid-request"


async def test_a_token_never_has_both_a_secret_and_a_trust(trusting: Trusting) -> None:
    token, ordinary = await trusting.issue(), (await trusting.admin.issue())["token"]
    rotated = await trusting.admin.post(f"/v1/tokens/{token['id']}/rotate", {"grace": "0s"})
    assert (rotated.status, rotated.problem) == (409, "no-secret")
    given = await trusting.admin.patch(f"/v1/tokens/{ordinary['id']}", {"trust": trust_in(trusting.issuer)})
    assert (given.status, given.problem) == (409, "no-trust")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"issuer": "http://ci.example"}, "https URL"),
        ({"claims": {}}, "everybody for whom this issuer signs"),
        ({"claims": {"sub": "*"}}, "everything fits"),
        ({"issuer": "https://gitlab.com", "claims": {"ref": "main"}}, "signs for everybody"),
        ({"audience": ""}, "audience"),
    ],
)
async def test_a_trust_that_is_too_wide_is_refused_with_advice(
    trusting: Trusting, changed: dict[str, object], named: str
) -> None:
    answer = await trusting.admin.post("/v1/tokens", {"name": "x", "trust": trust_in(trusting.issuer, **changed)})
    assert (answer.status, answer.problem) == (422, "bad-trust")
    assert named in answer.json["detail"]


async def test_a_clone_has_the_trust_of_its_original(trusting: Trusting) -> None:
    token = await trusting.issue()
    copy = await trusting.admin.post(f"/v1/tokens/{token['id']}/clone", {"name": "copy"})
    assert (copy.status, set(copy.json)) == (201, {"token"})
    assert copy.json["token"]["trust"] == token["trust"]
    await trusting.bearer(copy.json["token"])


async def test_a_repeated_request_gets_the_same_token(trusting: Trusting) -> None:
    body = {"name": "deploy", "trust": trust_in(trusting.issuer)}
    first, second = [await trusting.admin.post("/v1/tokens", body, Idempotency_Key="k-1") for _ in range(2)]
    assert (first.status, first.body) == (second.status, second.body)


async def test_a_child_with_a_trust_holds_no_more_than_its_maker(trusting: Trusting) -> None:
    maker = await trusting.admin.holder("deploy.run", "tokens.create", lifetime="30d")
    wanted = {"name": "x", "scopes": ["deploy.*"], "lifetime": "1d", "trust": trust_in(trusting.issuer)}
    assert (await maker.post("/v1/tokens", wanted)).problem == "beyond-caller"
    assert (await maker.post("/v1/tokens", {**wanted, "scopes": ["deploy.run"]})).status == 201


async def test_a_bearer_is_cut_to_what_the_maker_holds_at_the_exchange(trusting: Trusting) -> None:
    made = await trusting.admin.issue(scopes=["deploy.*", "mail.send", "tokens.create"])
    path = f"/v1/tokens/{made['token']['id']}"
    token = await trusting.issue(trusting.admin.with_token(made["secret"]), scopes=["deploy.*", "mail.send"])
    assert (await trusting.exchange(token)).json["scope"] == "deploy.* mail.send"
    await trusting.admin.patch(path, {"scopes": ["deploy.run", "tokens.create"]})
    assert (await trusting.exchange(token)).json["scope"] == "deploy.run"
    assert error(await trusting.exchange(token, scope="mail.send")) == (400, "invalid_scope")
    await trusting.admin.post(f"{path}/suspend", {})
    assert "state its trust again" in await trusting.refused(token)
    await trusting.admin.post(f"{path}/resume", {})
    assert (await trusting.exchange(token)).json["scope"] == "deploy.run"
    await trusting.admin.post(f"{path}/revoke", {"reason": "left"})
    assert "state its trust again" in await trusting.refused(token)
    # Another user becomes its maker.
    stated = await trusting.admin.patch(f"/v1/tokens/{token['id']}", {"trust": trust_in(trusting.issuer)})
    assert stated.json["trust_by"]["id"] != token["trust_by"]["id"]
    assert (await trusting.exchange(token)).json["scope"] == "deploy.* mail.send"


async def test_a_trust_loses_what_its_demoted_disabled_or_removed_maker_lost(
    trusting: Trusting,
) -> None:
    user = (await trusting.admin.post("/v1/users", {
        "email": "maker@trusting.example.org", "role": "member", "scopes": ["deploy.*", "tokens.create"],
        "password": "a password of some length",
    })).json["user"]  # fmt: skip
    maker = Caller(trusting.admin.session, basic(user["login"], "a password of some length"))
    token = await trusting.issue(maker, owner={"type": "service", "id": "ci"})
    assert token["trust_by"] == {"kind": "user", "id": user["id"]}
    assert (await trusting.exchange(token)).json["scope"] == "deploy.*"
    path = f"/v1/users/{user['id']}"
    assert (await trusting.admin.patch(path, {"scopes": ["deploy.run"]})).status == 200
    assert (await trusting.exchange(token)).json["scope"] == "deploy.run"
    assert (await trusting.admin.post(f"{path}/disable", {"reason": "on leave"})).status == 200
    assert "state its trust again" in await trusting.refused(token)
    await trusting.admin.post(f"{path}/enable", {})
    assert (await trusting.exchange(token)).json["scope"] == "deploy.run"
    assert (await trusting.admin.post(f"{path}/remove", {"reason": "left"})).status == 200
    assert "state its trust again" in await trusting.refused(token)


async def test_with_once_a_jwt_is_accepted_once_and_each_refusal_is_recorded(
    trusting: Trusting, api_settings: Settings
) -> None:
    token = await trusting.issue(trust={"once": True})
    jwt = trusting.issuer.jwt()
    await trusting.bearer(token, jwt)
    for _ in range(3):
        assert "accepted before" in await trusting.refused(token, jwt)
    await trusting.bearer(token)
    assert "no jti" in await trusting.refused(token, trusting.issuer.jwt(jti=...))
    # The same JWT is accepted for another token, whose trust counts separately.
    await trusting.bearer(await trusting.issue(trust={"once": True}), jwt)
    events = await trusting.admin.get(f"/v1/tokens/{token['id']}/events")
    assert [event["type"] for event in events.json["items"]] == ["created", "exchanged", "exchanged"]
    connection = await asyncpg.connect(api_settings.database_url)
    try:
        rows = await connection.fetch("select digest from accepted_assertion where token_id = $1", token["id"])
    finally:
        await connection.close()
    assert len(rows) == 2
    assert {event["data"]["assertion"]["jti"] for event in events.json["items"][1:]} == {
        row["digest"].hex() for row in rows
    }


async def test_a_refused_jwt_can_be_used_later(trusting: Trusting) -> None:
    token = await trusting.issue(trust={"once": True})
    jwt = trusting.issuer.jwt()
    await trusting.admin.post(f"/v1/tokens/{token['id']}/suspend", {})
    assert "suspended" in await trusting.refused(token, jwt)
    assert error(await trusting.exchange(token, jwt, scope="mail.send"))[0] == 400
    await trusting.admin.post(f"/v1/tokens/{token['id']}/resume", {})
    assert error(await trusting.exchange(token, jwt, scope="mail.send")) == (400, "invalid_scope")
    await trusting.bearer(token, jwt)


async def test_a_jwt_exchange_refuses_other_options(trusting: Trusting) -> None:
    token = await trusting.issue()
    acting = {"actor_token": "x", "actor_token_type": ACCESS_TOKEN}
    assert "without an actor_token" in await trusting.refused(token, **acting)
    fields = {"grant_type": EXCHANGE, "subject_token": trusting.issuer.jwt(), "subject_token_type": ID_TOKEN}
    assert error(await anybody(trusting.admin).form(TOKEN, **fields)) == (400, "invalid_request")


async def test_our_own_bearer_is_exchanged_as_such_whatever_client_is_named(trusting: Trusting) -> None:
    token, ordinary = await trusting.issue(), await trusting.admin.issue(scopes=["a.b"])
    ours = await bearer(trusting.admin, ordinary["secret"])
    answer = await trusting.exchange(token, ours)
    assert (answer.status, answer.json["scope"]) == (200, "a.b")


async def test_the_bearer_of_a_jwt_is_exchanged_only_for_an_equal_or_narrower_one(trusting: Trusting) -> None:
    token = await trusting.issue()
    first = (await trusting.exchange(token, scope="deploy.run")).json["access_token"]
    second = await bearer(trusting.admin, first)
    assert (await claims(trusting.admin, second))["scope"] == "deploy.run"


async def test_tokens_are_found_by_the_issuer_that_they_trust(trusting: Trusting) -> None:
    token = await trusting.issue(name="found by its issuer")
    other = (await trusting.admin.issue(trust=trust_in(trusting.issuer, issuer="https://other.example")))["token"]
    listed = await trusting.admin.get("/v1/tokens", issuer="https://other.example")
    assert [each["id"] for each in listed.json["items"]] == [other["id"]]
    listed = await trusting.admin.get("/v1/tokens", issuer=trusting.issuer.url, name="found by*")
    assert [each["id"] for each in listed.json["items"]] == [token["id"]]
    plan = await trusting.admin.post("/v1/revocations/plan", {"filter": {"issuer": "https://other.example"}})
    assert plan.json["tokens"] == 1
