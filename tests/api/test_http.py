"""Which requests the HTTP layer accepts, and how it answers all others."""

import json
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from api.sample_app import Shelf

GOOD = {"Authorization": "Bearer good"}
PROBLEM = "urn:counterfoil:problem:"


async def post(client: ClientSession, path: str, data: bytes, **headers: str) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json", **GOOD, **headers}
    async with client.post(path, data=data, headers=headers) as answer:
        if answer.status >= 400:
            assert answer.content_type == "application/problem+json"
        return answer.status, await answer.json(content_type=None)


async def test_a_handler_receives_the_parameters_of_its_signature(client: ClientSession) -> None:
    body = b'{"name":"x","owner":{"type":"user","id":"1"}}'
    async with client.post(
        "/things", data=body, headers={**GOOD, "Content-Type": "application/json", "Idempotency-Key": "k-1"}
    ) as answer:
        assert answer.status == 201
        assert await answer.json() == {"name": "x", "caller": "token", "key": "k-1"}
        assert answer.headers["ETag"] == '"1"'
        assert answer.headers["Location"] == "/things/1"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Server"] == "counterfoil"


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        (b"", 422, "invalid-request"),
        (b"{", 400, "malformed-request"),
        (b"null", 422, "invalid-request"),
        (b'{"name":1}', 422, "invalid-request"),
        (b'{"name":"\xff"}', 400, "malformed-request"),
        (b'{"name":"\\ud800"}', 400, "malformed-request"),
        (b'{"name":"a","name":"b"}', 400, "malformed-request"),
        (b'{"name":"a","tags":{"x":"1","x":"2"}}', 400, "malformed-request"),
        (b'{"name":"a","n\\u0061me":"b"}', 400, "malformed-request"),
        (b'{"name":"a"} {}', 400, "malformed-request"),
        (b"[" * 1_900, 400, "malformed-request"),
        (b'{"name":' + b"[" * 1_900, 400, "malformed-request"),
        (b'{"name":"a","until":"2026-01-01T00:00:00"}', 422, "invalid-request"),
        (b'{"name":"' + b"a" * 2_000 + b'"}', 413, "body-too-large"),
        (b'{"name":"forbidden"}', 403, "scope-missing"),
        (b'{"name":"bug"}', 500, "internal-error"),
    ],
)
async def test_an_invalid_body_is_refused_with_the_reason(
    client: ClientSession, body: bytes, status: int, problem: str
) -> None:
    answered, document = await post(client, "/things", body)
    assert (answered, document["status"], document["type"]) == (status, status, PROBLEM + problem)
    assert "cfl_" not in json.dumps(document)


async def test_a_wrong_value_is_located(client: ClientSession) -> None:
    _, document = await post(client, "/things", b'{"name":"a","owner":{"type":"user","id":3}}')
    assert (document["where"], document["field"]) == ("body", "owner.id")


async def test_refusals_repeat_nothing_that_was_sent(client: ClientSession) -> None:
    secret = "cfl_service_Zq7c0mpl3teS3cr3t"
    for body in (
        {"name": "a", secret: 1},
        {"name": "a", "owner": {"type": secret, "id": "1"}},
        {"name": "a", "until": secret},
        {"name": {secret: secret}},
    ):
        status, document = await post(client, "/things", json.dumps(body).encode())
        assert status == 422
        assert secret not in json.dumps(document)


async def test_a_misspelt_field_is_named(client: ClientSession) -> None:
    _, document = await post(client, "/things", b'{"nmae":"a"}')
    assert document["detail"] == "There is no field `nmae`; did you mean `name`?"


async def test_the_size_limit_applies_to_a_chunked_body(client: ClientSession) -> None:
    async def chunks() -> Any:
        for _ in range(300):
            yield b" " * 10

    async with client.post("/things", data=chunks(), headers={**GOOD, "Content-Type": "application/json"}) as answer:
        assert answer.status == 413


async def test_other_media_types_and_content_codings_are_refused(client: ClientSession) -> None:
    assert (await post(client, "/things", b"{}", **{"Content-Type": "text/plain"}))[0] == 415
    assert (await post(client, "/form", b"token=a"))[0] == 415
    async with client.post(
        "/things",
        data=b"\x1f\x8b\x08",
        headers={**GOOD, "Content-Type": "application/json", "Content-Encoding": "gzip"},
    ) as answer:
        assert answer.status == 415


async def test_a_body_may_be_omitted_when_all_its_fields_are_optional(client: ClientSession) -> None:
    async with client.patch("/things/5", headers={"If-Match": '"6", "7"'}) as answer:
        assert await answer.json() == {"name": "5 True", "caller": "nobody", "key": None}


@pytest.mark.parametrize("header", ["7", '"7', "", ",", '"7" "8"'])
async def test_an_invalid_precondition_is_refused(client: ClientSession, header: str) -> None:
    async with client.patch("/things/5", headers={"If-Match": header}) as answer:
        assert (await answer.json(content_type=None))["type"] == PROBLEM + "invalid-precondition"


async def test_every_request_is_logged_once_without_its_secrets(client: ClientSession) -> None:
    with capture_logs() as lines:
        await post(client, "/things", b'{"name":"a"}', **{"X-Request-Id": "my-own-request"})
        async with client.get("/things/cfl_service_secret?token=cfl_service_secret", headers=GOOD) as answer:
            assert answer.status == 405
    assert [(line["route"], line["status"]) for line in lines] == [("/things", 201), ("/things/{ref}", 405)]
    assert "cfl_" not in str(lines)
    assert "good" not in str(lines)


async def test_a_harmless_request_id_is_kept_and_any_other_is_replaced(client: ClientSession) -> None:
    for given, kept in (("build-4711-a", True), ("short", False), ("cfl_service_" + "a" * 49, False)):
        async with client.get("/page", headers={"X-Request-Id": given}) as answer:
            assert (answer.headers["X-Request-Id"] == given) is kept


async def test_a_bug_is_logged_with_its_trace_and_answered_without(client: ClientSession) -> None:
    with capture_logs() as lines:
        status, document = await post(client, "/things", b'{"name":"bug"}')
    assert status == 500
    assert set(document) == {"type", "title", "status", "detail"}
    assert [line["event"] for line in lines] == ["request_failed", "request"]


async def test_answers_are_observed(client: ClientSession, shelf: Shelf) -> None:
    await post(client, "/things", b'{"name":"forbidden"}')
    assert shelf.observed == [("POST", "/things", 403, "scope-missing")]


async def test_forms_are_read(client: ClientSession) -> None:
    async with client.post("/form", data={"token": "a é", "more": "ignored"}) as answer:
        assert await answer.json() == {"token": "a é"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for bad in (b"token=a&token=b", b"token=%ff", b"token", b"other=1", b""):
        assert (await post(client, "/form", bad, **form))[0] == 422, bad
    assert (await post(client, "/form", b"token=\xc3\xa9", **form))[0] == 400


async def test_head_is_answered_like_get_without_a_body(client: ClientSession) -> None:
    async with client.head("/page") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "5")
