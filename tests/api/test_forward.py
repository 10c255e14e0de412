"""Forward authentication for proxies."""

import asyncio

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from api.proxy import Asked, bearer, issued
from api.service import Answer, Caller, basic, served, settings_for
from counterfoil.core.secret import mint
from counterfoil_api.application import make_app
from counterfoil_api.native.forward_auth.forward import IDENTITY
from counterfoil_api.operations.replies import TOKEN_HEADERS

AUDIENCE = "https://app.example"


async def test_an_accepted_request_gets_seven_identity_headers_every_time(proxy: Asked, admin: Caller) -> None:
    made = await issued(admin, "invoices.*", "mail.send", lifetime="1h")
    answer = await proxy.about(bearer(made["secret"]))
    assert (answer.status, answer.body) == (200, b"")
    assert {name: answer.headers[name] for name in IDENTITY} == {
        "X-Counterfoil-Account": proxy.account,
        "X-Counterfoil-Token": made["token"]["id"],
        "X-Counterfoil-Owner": "b:1",
        "X-Counterfoil-Owner-Type": "application",
        "X-Counterfoil-Actor": "",
        "X-Counterfoil-Scopes": "invoices.* mail.send",
        "X-Counterfoil-Expires": made["token"]["expires_at"][:19] + "Z",
    }
    for_ever = await proxy.about(bearer((await issued(admin))["secret"]))
    assert [for_ever.headers[name] for name in IDENTITY][-1] == ""


async def test_a_long_list_of_scopes_is_cut_to_the_demanded_ones(proxy: Asked, admin: Caller) -> None:
    many = [f"a-rather-long-name.number-{number}" for number in range(200)]
    made = await issued(admin, *many, "invoices.read", "mail.send")
    answer = await proxy.about(bearer(made["secret"]), scope="mail.send invoices.read")
    assert answer.headers["X-Counterfoil-Scopes"] == "mail.send invoices.read"


async def test_all_demanded_scopes_are_needed(proxy: Asked, admin: Caller) -> None:
    secret = (await issued(admin, "invoices.read", "mail.send"))["secret"]
    assert (await proxy.about(bearer(secret), scope="mail.send invoices.read")).status == 200
    refused = await proxy.about(bearer(secret), scope="mail.send invoices.*")
    assert (refused.status, refused.problem) == (403, "scope-missing")
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert 'scope="mail.send invoices.*"' in refused.headers["WWW-Authenticate"]


async def test_a_bearer_needs_the_audience_that_the_proxy_states(proxy: Asked, admin: Caller) -> None:
    made = await issued(admin, lifetime="1h")
    owner = admin.with_token(made["secret"])
    for_us = (await owner.post("/v1/exchange", {})).json["access_token"]
    for_them = (await owner.post("/v1/exchange", {"audience": ["https://other.example", AUDIENCE]})).json[
        "access_token"
    ]
    assert (await proxy.about(bearer(for_us))).status == 200
    assert (await proxy.about(bearer(for_them))).problem == "credentials-refused"
    assert (await proxy.about(bearer(for_us), audience=AUDIENCE)).problem == "credentials-refused"
    passed = await proxy.about(bearer(for_them), audience=AUDIENCE)
    assert (passed.status, passed.headers["X-Counterfoil-Token"]) == (200, made["token"]["id"])
    assert (await proxy.about(bearer(made["secret"]), audience=AUDIENCE)).status == 200  # a secret has no audience
    await admin.post(f"/v1/tokens/{made['token']['id']}/suspend")
    assert (await proxy.about(bearer(for_them), audience=AUDIENCE)).problem == "token-suspended"


async def test_a_bearer_passes_with_at_most_its_own_scopes(proxy: Asked, admin: Caller) -> None:
    owner = await admin.holder("invoices.read", "mail.send")
    narrow = (await owner.post("/v1/exchange", {"scopes": ["mail.send"]})).json["access_token"]
    assert (await proxy.about(bearer(narrow))).problem == "scope-missing"
    passed = await proxy.about(bearer(narrow), scope="mail.send")
    assert passed.headers["X-Counterfoil-Scopes"] == "mail.send"
    assert passed.headers["X-Counterfoil-Expires"] != ""


async def test_an_actor_is_named_in_headers_and_its_end_ends_the_bearer(proxy: Asked, admin: Caller) -> None:
    subject, actor = await issued(admin), await issued(admin, "mail.send")
    access_token = "urn:ietf:params:oauth:token-type:access_token"
    bought = await admin.form(
        "/v1/oauth/token", grant_type="urn:ietf:params:oauth:grant-type:token-exchange", audience=AUDIENCE,
        subject_token=subject["secret"], subject_token_type=access_token,
        actor_token=actor["secret"], actor_token_type=access_token,
    )  # fmt: skip
    acting = bearer(bought.json["access_token"])
    passed = await proxy.about(acting, audience=AUDIENCE)
    assert (passed.status, passed.headers["X-Counterfoil-Actor"]) == (200, actor["token"]["id"])
    assert passed.headers["X-Counterfoil-Token"] == subject["token"]["id"]
    await admin.post(f"/v1/tokens/{actor['token']['id']}/revoke", {"reason": "for the test"})
    assert (await proxy.about(acting, audience=AUDIENCE)).status == 401


async def test_tokens_of_other_accounts_are_answered_as_unknown(proxy: Asked, stranger: Caller, admin: Caller) -> None:
    foreign = await stranger.issue(scopes=["invoices.read"])
    bought = (await admin.with_token(foreign["secret"]).post("/v1/exchange", {})).json["access_token"]
    unknown = await proxy.about(bearer(mint("service").plain))
    forged = await proxy.about(bearer(f"{bought[:-86]}{'A' * 86}"))
    for shown, never in ((foreign["secret"], unknown), (bought, forged)):
        answer = await proxy.about(bearer(shown))
        assert (answer.status, answer.body) == (never.status, never.body) == (401, never.body)
        assert (await proxy.about(bearer(shown), account=foreign["token"]["account"])).status == 200


def lasting(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    """An answer without its time-dependent parts."""
    moment = ("date", "x-request-id")
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in moment}
    return answer.status, answer.body, headers


async def test_another_account_learns_nothing_about_ended_credentials(
    proxy: Asked, stranger: Caller, admin: Caller
) -> None:
    async def dead(kind: str) -> tuple[str, str]:
        made = await stranger.issue(scopes=["invoices.read"], lifetime="4s" if kind == "expired" else "1h")
        bought = (await admin.with_token(made["secret"]).post("/v1/exchange", {})).json["access_token"]
        path, body = f"/v1/tokens/{made['token']['id']}", {"reason": "for the test"}
        match kind:
            case "expired":
                await asyncio.sleep(4.1)
            case "secret-retired":
                assert (await stranger.post(f"{path}/rotate", {"grace": "0s"})).status == 200
            case "token-suspended":
                assert (await stranger.post(f"{path}/suspend", body)).status == 200
            case "token-revoked":
                assert (await stranger.post(f"{path}/revoke", body)).status == 200
        return made["secret"], bought

    other = (await stranger.get("/v1/account")).json["id"]
    never = lasting(await proxy.about(bearer(mint("service").plain)))
    for kind in ("expired", "secret-retired", "token-suspended", "token-revoked"):
        secret, bought = await dead(kind)
        forged = lasting(await proxy.about(bearer(f"{bought[:-86]}{'A' * 86}")))
        assert lasting(await proxy.about(bearer(secret))) == never, kind
        assert lasting(await proxy.about(bearer(bought))) == forged, kind
        assert (await proxy.about(bearer(secret), account=other)).problem in {kind, "token-expired"}


async def test_another_client_learns_nothing_about_an_ended_secret(proxy: Asked, admin: Caller) -> None:
    made, other = await issued(admin), await issued(admin)
    assert (await admin.post(f"/v1/tokens/{made['token']['id']}/revoke", {"reason": "for the test"})).status == 200
    swapped = {"Authorization": basic(other["token"]["id"], made["secret"])}
    never = {"Authorization": basic(other["token"]["id"], mint("application").plain)}
    assert lasting(await proxy.about(swapped)) == lasting(await proxy.about(never))
    first, second = [
        await Caller(admin.session, shown["Authorization"]).get("/v1/tokens/self") for shown in (swapped, never)
    ]
    assert lasting(first) == lasting(second)


async def test_a_client_id_is_accepted_only_with_its_own_secret(proxy: Asked, admin: Caller) -> None:
    one, other = await issued(admin), await issued(admin)
    unknown = await proxy.about({"X-Client-Id": one["token"]["id"], "X-Client-Secret": mint("application").plain})
    assert (unknown.status, unknown.problem) == (401, "credentials-refused")
    assert (await proxy.about({"Authorization": basic(one["token"]["id"], one["secret"])})).status == 200
    assert (await proxy.about({"Authorization": basic(other["token"]["id"], one["secret"])})).body == unknown.body
    for name in ("X-Client", "CF-Access-Client"):
        for spelt in (one["token"]["id"], one["token"]["id"].upper(), one["token"]["id"].replace("-", "") + ".access"):
            good = await proxy.about({f"{name}-Id": spelt, f"{name}-Secret": one["secret"]})
            assert (good.status, good.headers["X-Counterfoil-Token"]) == (200, one["token"]["id"])
        swapped = await proxy.about({f"{name}-Id": other["token"]["id"], f"{name}-Secret": one["secret"]})
        nobody = await proxy.about({f"{name}-Id": proxy.account, f"{name}-Secret": one["secret"]})
        assert swapped.body == nobody.body == unknown.body
        assert swapped.status == nobody.status == 401


@pytest.mark.parametrize(
    "given",
    [
        {"X-Client-Id": "ID"},
        {"X-Client-Secret": "SECRET"},
        {"X-Client-Id": "ID", "CF-Access-Client-Secret": "SECRET"},
        {"X-Client-Id": "ID", "X-Client-Secret": "SECRET", "Authorization": "Bearer SECRET"},
        {"X-Client-Id": "ID", "X-Client-Secret": "SECRET", "CF-Access-Client-Id": "ID"},
        {"X-Client-Id": "", "X-Client-Secret": "SECRET"},
        {"X-Client-Id": "ID.", "X-Client-Secret": "SECRET"},
        {"X-Client-Id": "{ID}", "X-Client-Secret": "SECRET"},
        {"X-Client-Id": "ID", "X-Client-Secret": ""},
        {"X-Client-Id": "ID", "X-Client-Secret": "SECRETx"},
        {"Authorization": "Digest SECRET"},
        {"Authorization": "Bearer SECRET, Bearer SECRET"},
    ],
)
async def test_incomplete_or_double_credentials_do_not_pass(proxy: Asked, admin: Caller, given: dict[str, str]) -> None:
    made = await issued(admin)
    headers = {n: v.replace("ID", made["token"]["id"]).replace("SECRET", made["secret"]) for n, v in given.items()}
    answer = await proxy.about(headers)
    unknown = given.get("Authorization", "").startswith("Digest")
    assert (answer.status, answer.problem) == (401, "unknown-scheme" if unknown else "credentials-refused")
    assert made["secret"].encode() not in answer.body


async def test_a_repeated_header_is_no_proof(proxy: Asked, admin: Caller) -> None:
    secret = (await issued(admin))["secret"]
    twice = CIMultiDict([("Authorization", f"Bearer {secret}"), ("Authorization", f"Bearer {secret}")])
    answer = await proxy.about(twice)
    assert (answer.status, answer.problem) == (401, "credentials-refused")


async def test_passwords_do_not_pass(proxy: Asked, ours: dict[str, str]) -> None:
    person = {"Authorization": basic(ours["admin_login"], ours["admin_password"])}
    assert (await proxy.about(person, scope="tokens.read")).problem == "credentials-refused"


async def test_a_revoked_token_is_stopped_at_the_next_request(proxy: Asked, admin: Caller) -> None:
    made = await issued(admin)
    assert (await proxy.about(bearer(made["secret"]))).status == 200
    await admin.post(f"/v1/tokens/{made['token']['id']}/revoke", {"reason": "for the test"})
    assert (await proxy.about(bearer(made["secret"]))).problem == "token-revoked"


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "QUERY"]


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_and_suffix_is_answered_alike(proxy: Asked, admin: Caller, method: str) -> None:
    secret = (await issued(admin))["secret"]
    spelt = f"/v1/forward/account/{proxy.account}/scope/invoices.read/-"
    for target in ("", spelt, f"{spelt}/", f"{spelt}/a//b/../%0A?x=1", f"{spelt}/?scope=none", f"{spelt}//-/-/"):
        assert (await proxy.about(bearer(secret), method=method, target=target)).status == 200, target
        assert (await proxy.about({}, method=method, target=target)).status == 401, target


async def test_a_proxy_that_demands_nothing_lets_no_request_pass(proxy: Asked, admin: Caller) -> None:
    for target in ("/v1/forward", "/v1/forward/anything", f"/v1/forward?account={proxy.account}"):
        answer = await proxy.about({"Authorization": admin.credentials}, target=target)
        assert (answer.status, answer.problem) == (403, "proxy-misconfigured")
        assert answer.json["detail"].endswith((".", "/-"))


async def test_without_the_database_no_request_passes_and_the_reason_is_given() -> None:
    away = settings_for("postgresql://nobody@127.0.0.1:1/nowhere")
    async with served(make_app(away)) as url, ClientSession(url) as session:
        proxy = Asked(session, "00000000-0000-7000-8000-000000000000")
        answer = await proxy.about(bearer(mint("service").plain))
        assert (answer.status, answer.problem, answer.json["reason"]) == (403, "not-verified", "overloaded")
        assert answer.headers["Retry-After"] == "1"
        assert (await proxy.about({})).status == 401


ANYTHING = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=60)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(METHODS), ANYTHING, st.sampled_from(["Authorization", "X-Client-Id", "X-Client-Secret"]), ANYTHING
)
async def test_every_request_is_answered_with_allow_or_deny(
    proxy: Asked, method: str, suffix: str, header: str, value: str
) -> None:
    for start in ("/v1/forward?", "/v1/forward/", f"/v1/forward/account/{proxy.account}/scope/a/-/"):
        assert (await proxy.about({header: value}, method=method, target=start + suffix)).status in (401, 403)


async def test_headers_that_name_another_address_are_ignored(proxy: Asked, admin: Caller) -> None:
    poor = (await issued(admin, "poor.read"))["secret"]
    other = f"/v1/forward?account={proxy.account}&scope=poor.read"
    for header in ("X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path"):
        assert (await proxy.about({**bearer(poor), header: other})).status == 403
    assert (await proxy.about(bearer(poor), target=other)).status == 200


async def test_an_expired_token_does_not_pass(proxy: Asked, admin: Caller) -> None:
    assert (await proxy.about(bearer((await issued(admin, lifetime="1us"))["secret"]))).problem == "token-expired"


async def test_the_openapi_document_describes_every_method_and_header(admin: Caller) -> None:
    paths = (await admin.get("/openapi.json")).json["paths"]
    documented = {path: item for path, item in paths.items() if path.startswith("/v1/forward")}
    assert len(documented) == 3
    for item in documented.values():
        assert set(item) == {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
        for operation in item.values():
            assert set(operation["responses"]) >= {"200", "401", "403"}
            assert set(operation["responses"]["200"]["headers"]) == {*IDENTITY, *TOKEN_HEADERS, "X-Request-Id"}
