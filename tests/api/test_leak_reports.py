"""Leaked secrets, reported by whoever found them."""

import asyncio
from io import BytesIO
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from api.oauth import anybody, bearer
from api.service import Answer, Caller, served, settings_for
from counterfoil.core.secret import mint
from counterfoil.settings import Settings
from counterfoil_api.application import make_app
from counterfoil_api.native.tokens.leak_reports import BEAT_SECONDS, until_beat


async def reported(admin: Caller, body: Any) -> Answer:
    return await anybody(admin).post("/v1/leak-reports", body)


async def status(admin: Caller, issued: Any) -> str:
    return str((await admin.get(f"/v1/tokens/{issued['token']['id']}")).json["status"])


async def test_a_mixed_report_revokes_the_tokens_of_its_secrets_and_reveals_nothing(
    admin: Caller, stranger: Caller
) -> None:
    ours, theirs, dead = await admin.issue(), await stranger.issue(), await admin.issue()
    await admin.post(f"/v1/tokens/{dead['token']['id']}/revoke", {"reason": "earlier"})
    found = {
        "token": ours["secret"],
        "type": "counterfoil",
        "url": "https://paste.example/1",
        "source": "content",
        "x": 1,
    }
    unknown = mint("service").plain
    with capture_logs() as lines:
        mixed = await reported(admin, [found, theirs["secret"], dead["secret"], unknown, "nonsense", ours["secret"]])
        nothing = await reported(admin, [mint("service").plain, *(mint("user").plain for _ in range(5))])
    assert (mixed.status, mixed.body) == (nothing.status, nothing.body) == (202, b'{"received":6}')
    different = {"date", "x-request-id"}
    assert {**mixed.headers}.keys() == {**nothing.headers}.keys()
    assert {name.lower() for name in mixed.headers if mixed.headers[name] != nothing.headers[name]} <= different
    assert await status(admin, ours) == await status(stranger, theirs) == "revoked"
    logged = str(lines)
    assert [text for text in (ours["secret"], theirs["secret"], unknown, "paste.example") if text in logged] == []
    event = (await admin.get(f"/v1/tokens/{ours['token']['id']}/events", sort="-version")).json["items"][0]
    assert (event["type"], event["by"]["kind"]) == ("revoked", "system")
    assert event["private"] == {"reason": "Its secret was reported as leaked."}
    assert (await admin.get(f"/v1/tokens/{dead['token']['id']}")).json["reason"] == "earlier"


@pytest.mark.parametrize("elapsed", [0.0, 1e-9, 0.002, 0.2, 0.499, 0.5, 0.501, 1.25, 2.6])
@pytest.mark.parametrize(("reported", "beats"), [(0, 1), (1, 1), (249, 1), (1_000, 5)])
def test_every_answer_is_sent_at_a_fixed_interval(elapsed: float, reported: int, beats: int) -> None:
    answered = elapsed + until_beat(elapsed, reported)
    assert answered >= BEAT_SECONDS * beats
    assert abs(answered / BEAT_SECONDS - round(answered / BEAT_SECONDS)) < 1e-6


async def test_tokens_that_could_become_usable_again_are_revoked_and_replaced_secrets_revoke_none(
    admin: Caller,
) -> None:
    expired, suspended = await admin.issue(lifetime="1us"), await admin.issue()
    await admin.post(f"/v1/tokens/{suspended['token']['id']}/suspend")
    rotated, bought = await admin.issue(), await admin.issue()
    await admin.post(f"/v1/tokens/{rotated['token']['id']}/rotate", {"grace": "0s"})
    leaked = [each["secret"] for each in (expired, suspended, rotated)]
    assert (await reported(admin, [*leaked, await bearer(admin, bought["secret"])])).status == 202
    states = [await status(admin, each) for each in (expired, suspended, rotated, bought)]
    assert states == ["revoked", "revoked", "active", "active"]


async def test_a_report_has_at_most_a_thousand_secrets(admin: Caller) -> None:
    issued = await asyncio.gather(*(admin.issue() for _ in range(30)))
    url = "https://github.example/" + "x" * 800
    report = [{"token": mint("service").plain, "type": "t", "url": url, "source": "content"} for _ in range(970)]
    report += [{"token": each["secret"], "type": "t", "url": url, "source": "content"} for each in issued]
    assert (await reported(admin, report)).json == {"received": 1_000}
    assert {await status(admin, each) for each in issued} == {"revoked"}
    assert (await reported(admin, [*report, "x"])).problem == "invalid-request"


async def test_an_invalid_report_is_refused(admin: Caller) -> None:
    for body in ({"token": "x"}, [1], [None], [["x"]], [{"type": "x"}], "x", ["x" * 5_000], [{"token": 7}]):
        assert (await reported(admin, body)).problem == "invalid-request", body
    assert (await anybody(admin).ask("POST", "/v1/leak-reports", b"[" * 100_000)).status in (400, 422)
    media_type = {"Content-Type": "application/json"}
    async with admin.session.post("/v1/leak-reports", data=BytesIO(b" " * 3_000_000), headers=media_type) as answer:
        assert answer.status == 413


async def test_a_failure_during_a_report_is_reported_and_the_report_is_not_lost(admin: Caller) -> None:
    assert (await anybody(admin).ask("POST", "/v1/leak-reports", b"[]")).json == {"received": 0}
    assert (await anybody(admin).ask("GET", "/v1/leak-reports")).problem == "method-not-allowed"


async def test_reports_are_limited_for_each_network(api_settings: Settings, admin: Caller) -> None:
    issued = await admin.issue()
    settings = settings_for(api_settings.database_url, LEAK_REPORT_LIMIT="5/1h", TRUSTED_PROXIES="127.0.0.1/32")
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        here, there = (Caller(session, "", {"X-Forwarded-For": at}) for at in ("192.0.2.7", "198.51.100.7"))
        answers = await asyncio.gather(*(here.post("/v1/leak-reports", ["x"]) for _ in range(12)))
        assert sorted(answer.status for answer in answers) == [202] * 5 + [429] * 7
        refused = next(answer for answer in answers if answer.status == 429)
        assert refused.problem == "rate-limited"
        assert 0 < int(refused.headers["Retry-After"]) <= 3_600
        assert (await there.post("/v1/leak-reports", [issued["secret"]])).status == 202
    assert await status(admin, issued) == "revoked"
