"""The client with a log that is cut, silent, wrong or gone, from a server with scripted answers."""

import asyncio
import base64
import hashlib
from typing import Any

import pytest

from client.scripted import ID, PAUSE, entry, line, log_reply, refusal, scripted
from counterfoil.client import Client, Denied, Invalid, Refused, Unavailable, Unintelligible, Unreachable, streaming

PATIENT = {"timeout_seconds": 20.0, "refused_seconds": 5.0}
WHOLE = log_reply(*map(line, range(1, 6)), head=5)


async def positions(client: Client, most: int = 1_000, **how: Any) -> list[int]:
    """The positions of the read events, up to `most`."""
    found: list[int] = []
    async for event in client.events(**how):
        found.append(event.position)
        if len(found) == most:
            break
    return found


async def test_a_line_is_parsed_into_an_event_and_kept_unchanged() -> None:
    salt = bytes(range(32))
    first = line(1, {"text": '{"name":"a"}', "salt": base64.b64encode(salt).decode()})
    async with scripted(log_reply(first, head=1)) as script, Client(script.url, "cfl_x") as client:
        log = client.events()
        (event,) = [each async for each in log]
    assert (event.position, event.version, event.type, event.kind, str(event.subject)) == (1, 1, "rotated", "token", ID)
    assert (event.entry, event.line, event.data, str(event.by.id)) == (entry(1), first, {"generation": 2}, ID)
    assert event.private is not None
    assert hashlib.sha256(event.private.salt + event.private.text.encode()).digest()
    assert '"a"' not in repr(event.private)
    assert (log.position, log.head) == (1, 1)


async def test_every_filter_is_sent_under_its_name() -> None:
    async with scripted(log_reply(head=0)) as script, Client(script.url, "cfl_x") as client:
        await positions(client, token=3, user="a@b.example", subject=ID, kind="token", types=("created", "revoked"),
                        actor=ID, since="7d", until="1d", accounts="all")  # fmt: skip
    (requests,) = script.requests
    path, _, query = requests.split(" ")[1].partition("?")
    assert path == "/v1/events"
    assert query.split("&") == [
        "token=3", "user=a@b.example", f"subject={ID}", "kind=token", "type=created", "type=revoked",
        f"actor={ID}", "since=7d", "until=1d", "accounts=all", "after=0",
    ]  # fmt: skip


@pytest.mark.parametrize("follow", [False, True])
async def test_a_reply_cut_at_any_byte_is_continued_without_gaps_or_duplicates(follow: bool) -> None:
    for cut in (*range(0, len(WHOLE), 101), *range(len(WHOLE) - 8, len(WHOLE))):
        replies = (WHOLE[:cut], lambda after: rest(after)[: len(rest(after)) // 2], rest, rest)
        async with scripted(*replies) as script, Client(script.url, "x", **PATIENT) as client:
            assert await positions(client, 5, follow=follow) == [1, 2, 3, 4, 5], cut


def rest(after: int) -> bytes:
    return log_reply(*map(line, range(after + 1, 6)), head=5)


async def test_a_reply_that_ends_in_the_middle_of_a_line_is_requested_again() -> None:
    half = log_reply(line(1), head=2, ended=False) + b"5\r\n" + line(2)[:5] + b"\r\n0\r\n\r\n"
    async with scripted(half, log_reply(line(2), head=2)) as script, Client(script.url, "x", **PATIENT) as client:
        assert await positions(client) == [1, 2]
    assert [requests.split("after=")[1] for requests in script.requests] == ["0 HTTP/1.1", "1 HTTP/1.1"]


async def test_a_read_ends_at_the_head_of_its_beginning() -> None:
    later = log_reply(*map(line, range(2, 9)), head=8)
    async with scripted(log_reply(line(1), head=3, ended=False), later) as script, Client(script.url, "x") as client:
        log = client.events()
        assert [event.position async for event in log] == [1, 2, 3]
    assert (log.position, log.head) == (3, 8)


async def test_a_filtered_read_that_ends_before_the_head_was_cut() -> None:
    replies = [log_reply(line(2), b'{"position":5}', line(7), head=9), log_reply(line(8), b'{"position":9}', head=9)]
    async with scripted(*replies) as script, Client(script.url, "x") as client:
        log = client.events(kind="token")
        assert [event.position async for event in log] == [2, 7, 8]
    assert (log.position, script.replies) == (9, [])


async def test_a_read_continues_after_hidden_events() -> None:
    replies = [
        log_reply(line(2), b'{"position":500}', head=900, ended=False),
        log_reply(line(700), b'{"position":900}', head=900),
    ]
    async with scripted(*replies) as script, Client(script.url, "x", **PATIENT) as client:
        assert await positions(client, kind="token") == [2, 700]
    assert "after=500" in script.requests[1]


async def test_latest_starts_from_the_first_head_also_after_a_cut() -> None:
    replies = [log_reply(head=17, ended=False), log_reply(line(18), head=18), refusal(401, "token-revoked")]
    async with scripted(*replies) as script, Client(script.url, "x", **PATIENT) as client:
        assert await positions(client, 1, after="latest", follow=True) == [18]
    assert ["after=latest" in script.requests[0], "after=17" in script.requests[1]] == [True, True]


async def test_an_interrupted_reader_continues_at_its_position() -> None:
    async with scripted(WHOLE, log_reply(*map(line, range(3, 6)), head=5)) as script, Client(script.url, "x") as client:
        log = client.events()
        async for event in log:
            if event.position == 2:
                break
        assert [event.position async for event in log] == [3, 4, 5]
    assert "after=2" in script.requests[1]


@pytest.mark.parametrize("failure", [refusal(500, "bug"), refusal(502, "x"), refusal(503, "busy"), b"", b"HTTP/1.1 2"])
async def test_a_follower_survives_all_failures_of_a_server(failure: bytes) -> None:
    replies = [log_reply(line(1), head=1), *[failure] * 4, log_reply(b'{"position":1}', line(2), head=2)]
    async with scripted(*replies) as script, Client(script.url, "x", timeout_seconds=0.5) as client:
        assert await positions(client, 2, follow=True) == [1, 2]


async def test_a_rejected_client_waits_as_long_as_requested() -> None:
    replies = [
        log_reply(line(1), head=1),
        refusal(429, "too-many-streams", "Retry-After: 1"),
        log_reply(line(2), head=2),
    ]
    async with scripted(*replies) as script, Client(script.url, "x") as client:
        began = asyncio.get_running_loop().time()
        assert await positions(client, 2, follow=True) == [1, 2]
        assert asyncio.get_running_loop().time() - began >= 1


async def test_a_silent_server_is_contacted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SILENCE_SECONDS", 0.2)
    replies = [log_reply(line(1), head=2, ended=False) + PAUSE, log_reply(line(2), head=2)]
    async with scripted(*replies) as script, Client(script.url, "x") as client:
        assert await positions(client, 2, follow=True) == [1, 2]


async def test_a_follower_that_loses_its_credential_gets_the_refusal() -> None:
    replies = [log_reply(line(1), b'{"end":"credential-ended"}', head=1), refusal(401, "token-revoked")]
    async with scripted(*replies) as script, Client(script.url, "x") as client:
        with pytest.raises(Denied) as denied:
            await positions(client, follow=True)
    assert denied.value.name == "token-revoked"


async def test_a_log_that_became_shorter_is_reported() -> None:
    for shorter in (refusal(400, "bad-position"), log_reply(head=1)):
        async with (
            scripted(log_reply(*map(line, (1, 2)), head=2), shorter) as script,
            Client(script.url, "x") as client,
        ):
            with pytest.raises((Invalid, Unintelligible), match=r"bad-position|ends at position 1, but 2 was read"):
                await positions(client, follow=True)


async def test_a_server_that_is_absent_at_the_start_is_given_up_soon() -> None:
    async with scripted(*[refusal(503, "busy")] * 50) as script, Client(script.url, "x", timeout_seconds=0.3) as client:
        with pytest.raises(Unavailable):
            await positions(client, follow=True)
    async with Client("http://127.0.0.1:1", "x", refused_seconds=0.2) as nowhere:
        with pytest.raises(Unreachable, match=r"nothing listens at 127\.0\.0\.1 port 1"):
            await positions(nowhere, follow=True)


async def test_a_read_without_progress_is_given_up() -> None:
    cut = [log_reply(line(1), head=9, ended=False), *[log_reply(b'{"position":1}', head=9, ended=False)] * 50]
    async with scripted(*cut) as script, Client(script.url, "x", timeout_seconds=0.4) as client:
        with pytest.raises(Unreachable, match="was cut"):
            await positions(client)
    assert script.replies


async def test_a_read_with_progress_is_not_given_up() -> None:
    cut = [log_reply(line(n), head=20, ended=False) for n in range(1, 21)]
    async with scripted(*cut) as script, Client(script.url, "x", timeout_seconds=0.4) as client:
        assert await positions(client) == [*range(1, 21)]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([line(2)], "After position 0 of the log comes 2: events are missing, or out of order."),
        ([line(1), line(1)], "After position 1 of the log comes 1:"),
        ([line(1), line(3)], "After position 1 of the log comes 3:"),
        ([line(1), b'{"position":0}'], "After position 1 of the log comes 0:"),
        ([line(1), b'{"position":2}'], "After position 1 of the log comes 2:"),
        ([b"{}"], "does not come from a ledger of this version"),
        ([b"<html>"], "does not come from a ledger of this version"),
        ([b'{"position":1,"entry":"{}","private":null}'], "does not come from a ledger of this version"),
        ([b'{"position":1,"entry":7,"private":null}'], "does not come from a ledger of this version"),
        ([b'{"position":"1","entry":"","private":null}'], "does not come from a ledger of this version"),
        ([b'{"entry":"","private":null}'], "does not come from a ledger of this version"),
        ([b"[" * 100_000], "does not come from a ledger of this version"),
        ([b"\xff\xfe"], "does not come from a ledger of this version"),
        ([b"x" * (streaming.LONGEST_LINE + 1)], "a line of more than 1,048,576 bytes"),
    ],
)
async def test_an_invalid_next_line_ends_the_read_with_the_reason(lines: list[bytes], says: str) -> None:
    for follow in (False, True):
        async with scripted(log_reply(*lines, head=5)) as script, Client(script.url, "x") as client:
            with pytest.raises(Unintelligible) as failure:
                await positions(client, follow=follow)
        assert says in str(failure.value)


async def test_an_endless_line_is_not_kept_in_memory() -> None:
    endless = log_reply(head=5, ended=False) + b"".join(b"%x\r\n%s\r\n" % (50_000, b"x" * 50_000) for _ in range(40))
    async with scripted(endless) as script, Client(script.url, "x") as client:
        with pytest.raises(Unintelligible, match="a line of more than"):
            await positions(client)


@pytest.mark.parametrize("head", ["", "-1", "x", "9" * 30, "٣"])
async def test_an_answer_without_the_head_is_refused(head: str) -> None:
    async with scripted(log_reply(line(1), head=head)) as script, Client(script.url, "x") as client:
        with pytest.raises(Unintelligible, match="it does not say where the log ends"):
            await positions(client)


async def test_a_stream_does_not_send_its_token_to_another_host() -> None:
    elsewhere = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with scripted(elsewhere) as script, Client(script.url, "x") as client:
        with pytest.raises(Refused) as refused:
            await positions(client, follow=True)
    assert refused.value.status == 307


async def test_an_invalid_position_is_refused_before_a_request() -> None:
    async with Client("http://127.0.0.1:1", "x") as client:
        with pytest.raises(ValueError, match="-1 is not a position in the log; write 0 for its beginning"):
            client.events(after=-1)
