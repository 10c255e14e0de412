"""GET /v1/events: the log in order, as pages and line by line."""

import base64
import gzip
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from api.service import Answer, Caller
from api.user_fixtures import person
from counterfoil.settings import Settings
from counterfoil_api.native.events import replaying
from postgres.sealing import seal_all

Lines = list[dict[str, Any]]
Seal = Callable[[], Awaitable[int]]


@pytest.fixture
def seal(api_settings: Settings) -> Seal:
    """Give every event so far its position."""
    return lambda: seal_all(api_settings.database_url)


def lines_of(answer: Answer) -> Lines:
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    assert answer.body == b"" or answer.body.endswith(b"\n")
    return [json.loads(line) for line in answer.body.split(b"\n")[:-1]]


def events_of(answer: Answer) -> Lines:
    """The lines that are events, without the last line, which only states the reached position."""
    lines = lines_of(answer)
    assert all("entry" in line for line in lines[:-1])
    assert not lines or lines[-1]["position"] == int(answer.headers["Log-Head"])
    return [line for line in lines if "entry" in line]


async def head(caller: Caller) -> int:
    return int((await caller.get("/v1/events", after="latest", limit=1)).headers["Log-Head"])


async def named(admin: Caller, *names: str) -> list[dict[str, Any]]:
    return [(await admin.issue(name=name))["token"] for name in names]


async def test_the_log_is_in_order_without_gaps_and_resumable_from_any_line(admin: Caller, seal: Seal) -> None:
    await named(admin, "one", "two", "three")
    await seal()
    whole = events_of(await admin.get("/v1/events"))
    assert [line["position"] for line in whole] == list(range(1, len(whole) + 1))
    assert list(whole[0]) == ["position", "entry", "private"]
    middle = len(whole) // 2
    rest = events_of(await admin.get("/v1/events", after=middle))
    known = whole[middle:]
    assert rest[: len(known)] == known  # followed by the read of the log itself
    versions: dict[str, int] = {}
    for line in whole:
        entry = json.loads(line["entry"])
        assert entry["version"] == versions.get(entry["subject"]["id"], 0) + 1
        versions[entry["subject"]["id"]] = entry["version"]


async def test_pages_contain_the_same_events_as_the_lines(admin: Caller, seal: Seal) -> None:
    await named(admin, "one", "two", "three")
    await seal()
    found: Lines = []
    after, last = 0, await head(admin)
    limit = max(4, last // 20)  # other tests have written, too
    while after < last:
        page = (await admin.get("/v1/events", after=after, limit=limit)).json
        assert len(page["items"]) <= limit
        assert after < page["after"] <= page["head"]
        found, after = found + page["items"], page["after"]
    assert found == events_of(await admin.get("/v1/events"))[: len(found)]
    end = (await admin.get("/v1/events", after=page["head"], limit=1)).json
    assert end["items"] == [] or end["after"] > page["head"]


async def test_unsealed_events_are_not_shown(admin: Caller, seal: Seal) -> None:
    await admin.get("/v1/events", limit=1)  # an event of its own once an hour
    await seal()
    before = await head(admin)
    await named(admin, "not yet")
    assert await head(admin) == before
    assert lines_of(await admin.get("/v1/events", after=before)) == []
    assert (await admin.get("/v1/events", after="latest", limit=9)).json == {
        "items": [],
        "after": before,
        "head": before,
    }
    await seal()
    assert len(events_of(await admin.get("/v1/events", after=before))) == 1


async def test_a_position_beyond_the_log_is_refused_with_the_reason(admin: Caller) -> None:
    last = await head(admin)
    for after in (last + 1, 10**18, 9_999_999_999_999_999_999):
        refused = await admin.get("/v1/events", after=after)
        assert (refused.status, refused.problem, refused.json["head"]) == (400, "beyond-log", last)
        assert f"ends at {last}, before position {after}" in refused.json["detail"]


async def test_the_private_part_verifies_against_its_entry(admin: Caller, seal: Seal) -> None:
    (token,) = await named(admin, "held against")
    await seal()
    (line,) = events_of(await admin.get("/v1/events", token=token["number"]))
    text, salt = line["private"]["text"], base64.b64decode(line["private"]["salt"])
    assert json.loads(text)["name"] == "held against"
    committed = json.loads(line["entry"])["private"]
    assert base64.b64encode(hashlib.sha256(salt + text.encode()).digest()).decode() == committed


async def test_the_private_part_of_users_needs_users_read(admin: Caller, seal: Seal) -> None:
    user = await person(admin, "member")
    await seal()
    (seen,) = events_of(await admin.get("/v1/events", user=user.number))
    assert json.loads(seen["private"]["text"])["name"] == user.email
    narrow = await admin.holder("audit.read")
    (hidden,) = events_of(await narrow.get("/v1/events", user=user.number))
    assert hidden == seen | {"private": None}
    assert user.email not in json.dumps(hidden)
    assert (await narrow.get("/v1/events", user=user.email)).problem == "scope-missing"
    assert events_of(await admin.get("/v1/events", user=user.email)) == [seen]


async def test_filters_select_matching_events(admin: Caller, seal: Seal) -> None:
    start = await head(admin)
    token, other = await named(admin, "filtered", "other")
    asker = await admin.holder("tokens.create", "tokens.read")
    theirs = (await asker.issue(name="by a token"))["token"]
    await admin.post(f"/v1/tokens/{token['id']}/revoke", {"reason": "for the test"})
    await seal()
    me = (await asker.get("/v1/tokens/self")).json

    async def found(**query: object) -> list[tuple[str, str]]:
        entries = [json.loads(line["entry"]) for line in events_of(await admin.get("/v1/events", after=start, **query))]
        return [(entry["subject"]["id"], entry["type"]) for entry in entries]

    both = [(token["id"], "created"), (token["id"], "revoked")]
    assert (
        await found(token=token["id"]) == await found(token=token["number"]) == await found(subject=token["id"]) == both
    )
    assert await found(token=token["id"], type="revoked") == both[1:]
    assert await found(type="revoked") == both[1:]
    for actor in (me["id"], f"token:{me['number']}"):
        assert await found(actor=actor) == [(theirs["id"], "created")]
    assert (other["id"], "created") in await found(kind="token", since="1h")
    assert await found(kind="token", until="1h") == await found(subject=uuid4()) == []
    assert await found(since="2020-01-01", until="2020-01-02") == []
    page = await admin.ask("GET", f"/v1/events?after={start}&type=created&type=revoked&kind=token&kind=user&limit=1000")
    assert {json.loads(line["entry"])["type"] for line in page.json["items"]} == {"created", "revoked"}


@pytest.mark.parametrize(
    ("query", "status", "problem", "says"),
    [
        ("after=-1", 422, "invalid-request", "after"),
        ("after=01", 422, "invalid-request", "after"),
        ("after=now", 422, "invalid-request", "after"),
        ("limit=0", 422, "invalid-request", "limit"),
        ("limit=1001", 422, "invalid-request", "limit"),
        ("limit=many", 422, "invalid-request", "limit"),
        ("kind=tokens", 422, "invalid-request", "one of access"),
        ("type=create", 422, "invalid-request", "created"),
        ("subject=7", 422, "invalid-request", "subject"),
        ("token=7&user=7", 422, "invalid-request", "not several"),
        ("token=999999999", 422, "unknown-user", "no such"),
        ("user=nobody", 422, "unknown-user", "no such"),
        ("actor=7", 422, "unknown-user", "token:7"),
        ("since=soon", 422, "invalid-request", "7d"),
        ("since=1d&until=2d", 200, "", ""),
        ("since=9999999w", 422, "invalid-request", "7d"),
        ("accounts=some", 422, "invalid-request", "accounts"),
        ("accounts=all", 403, "operator-only", "OPERATOR_ACCOUNT"),
        ("token=cfl_service_x", 400, "credentials-in-query", "leaked"),
        ("token=ghp_0123456789abcdef", 400, "credentials-in-query", "leaked"),
        ("Token=7", 400, "credentials-in-query", "Authorization"),
        ("curser=7", 422, "invalid-request", "curser"),
    ],
)
async def test_an_invalid_query_is_refused_with_the_reason(
    admin: Caller, query: str, status: int, problem: str, says: str
) -> None:
    answer = await admin.ask("GET", f"/v1/events?{query}")
    assert answer.status == status, answer.body
    if problem:
        assert answer.problem == problem
        assert says in answer.json["detail"]
        assert "ghp_" not in answer.json["detail"]


async def test_the_accept_header_decides_the_format(admin: Caller, seal: Seal) -> None:
    await seal()
    for accept, limit, expected in (
        ("*/*", "", "application/x-ndjson"),
        ("application/x-ndjson", "", "application/x-ndjson"),
        ("application/json", "", "application/json"),
        ("application/json, */*", "", "application/json"),
        ("application/json;q=0.5, application/x-ndjson", "", "application/x-ndjson"),
        ("text/html", "", "application/x-ndjson"),
        ("*/*", "?limit=3", "application/json"),
    ):
        answer = await admin.ask("GET", f"/v1/events{limit}", headers={"Accept": accept})
        assert answer.headers["Content-Type"] == expected, accept
        assert int(answer.headers["Log-Head"]) > 0
        assert answer.headers["Cache-Control"] == "no-store"
    by_default = await admin.ask("GET", "/v1/events", headers={"Accept": "application/json"})
    assert len(by_default.json["items"]) == min(50, by_default.json["head"])


async def test_answers_are_compressed_on_request(admin: Caller, seal: Seal) -> None:
    await seal()
    for path in ("/v1/events", "/v1/events?limit=9"):
        plain = await admin.ask("GET", path, headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        refused = await admin.ask("GET", path, headers={"Accept-Encoding": "gzip;q=0, br"})
        assert "Content-Encoding" not in refused.headers
        sent = {"Authorization": admin.credentials, "Accept-Encoding": "br, GZIP;q=0.5"}
        async with admin.session.get(path, headers=sent, auto_decompress=False) as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await packed.read()) == plain.body


async def test_head_returns_the_end_of_the_log_and_nothing_more(admin: Caller, seal: Seal) -> None:
    await seal()
    for path in ("/v1/events", "/v1/events?limit=9"):
        answer = await admin.ask("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
        assert int(answer.headers["Log-Head"]) == await head(admin)


async def test_the_reached_position_is_shown_when_a_filter_hides_everything(
    admin: Caller, seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_SILENCE_SECONDS", -1.0)
    monkeypatch.setattr("counterfoil.postgres.sealed_log.LOOKED_AT", 3)
    await named(admin, *"abcdefg")
    await seal()
    answer = await admin.get("/v1/events", type="totp_enrolled", actor="user:1")
    lines = lines_of(answer)
    assert len(lines) > 2
    assert [line["position"] for line in lines] == sorted({line["position"] for line in lines})
    assert lines[-1] == {"position": int(answer.headers["Log-Head"])}
    monkeypatch.setattr(replaying, "_PATIENCE_SECONDS", -1.0)
    page = (await admin.get("/v1/events", type="totp_enrolled", limit=5)).json
    assert (page["items"], page["after"]) == ([], 3)


async def test_the_log_needs_audit_read_and_the_read_is_an_event_before_the_answer(admin: Caller, seal: Seal) -> None:
    assert (await (await admin.holder("tokens.read")).get("/v1/events")).problem == "scope-missing"
    reader = await admin.holder("audit.read", "tokens.read")
    me = (await reader.get("/v1/tokens/self")).json
    await seal()
    last = await head(admin)
    await reader.get("/v1/events", after=last - 1, type="created")
    await reader.get("/v1/events", limit=3)
    reads = (await admin.get("/v1/reads", reader=me["id"])).json["items"]
    assert len(reads) == 1  # at most one event an hour
    assert reads[0]["log"]["last"] == last
    assert reads[0]["log"]["filters"] == {"type": 1}


async def test_another_account_appears_in_no_page_filter_or_error(admin: Caller, stranger: Caller, seal: Seal) -> None:
    (ours,) = await named(admin, "ours alone")
    await stranger.issue(name="theirs alone")
    await seal()
    for caller, foreign in ((stranger, "ours alone"), (admin, "theirs alone")):
        own = (await caller.get("/v1/account")).json["id"]
        for answer in (await caller.get("/v1/events"), await caller.get("/v1/events", limit=1000)):
            assert foreign.encode() not in answer.body
        for line in events_of(await caller.get("/v1/events")):
            assert json.loads(line["entry"])["account"] == own
    # Ids of another account are answered like unknown ones.
    for query in ("subject={}", "token={}", "actor={}", "user={}", "subject={}&limit=3"):
        answers = [
            await stranger.ask("GET", f"/v1/events?after=1&{query.format(each)}") for each in (ours["id"], uuid4())
        ]
        assert (answers[0].status, answers[0].body) == (answers[1].status, answers[1].body)
    # Numbers are not tried: those of another account also exist in the caller's own.
    somebody = await person(admin)
    nobody = f"nobody-{uuid4()}@ours.example.org"
    for query, theirs, none in (
        ("user={}", somebody.id, uuid4()), ("actor={}", somebody.id, uuid4()), ("actor=user:{}", somebody.id, uuid4()),
        ("user={}", somebody.email, nobody), ("actor=user:{}", somebody.email, nobody),
    ):  # fmt: skip
        answers = [await stranger.ask("GET", f"/v1/events?after=1&{query.format(each)}") for each in (theirs, none)]
        assert (answers[0].status, answers[0].body) == (answers[1].status, answers[1].body) == (422, answers[1].body)
    last = await head(stranger)
    assert f"ends at {last}," in (await stranger.get("/v1/events", after=last + 1)).json["detail"]
