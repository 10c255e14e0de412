"""The client keeps what replies say about the end of its token, with the real API and with strange servers."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from client.running import Service
from client.scripted import log_reply, refusal, scripted
from counterfoil.client import Client, Forbidden, Refused, TokenExpiry
from counterfoil.client.expiry import expiry_in
from counterfoil.client.wire import Password

AT = datetime(2026, 12, 1, 10, tzinfo=UTC)


async def age(service: Service, token_id: UUID, days: int) -> None:
    """Let a token look as old as if it had been issued so many days ago."""
    connection = await asyncpg.connect(service.database.owner_url)
    await connection.execute(
        """
        update token
           set created_at = created_at - $2::interval, lifetime_start = lifetime_start - $2::interval,
               expires_at = expires_at - $2::interval
         where token_id = $1""",
        token_id,
        timedelta(days=days),
    )
    await connection.close()


def known(client: Client) -> TokenExpiry | None:
    return client.expiry


def near(client: Client) -> bool:
    assert client.expiry is not None
    return client.expiry.is_near


async def test_the_client_knows_when_its_token_ends(ledger: Client, service: Service) -> None:
    made = await ledger.create("nightly", scopes=["own.read"], lifetime="90d")
    assert known(ledger) is None, "the administrator's token never expires"
    async with Client(service.url, made.secret) as own:
        assert known(own) is None, "nothing was asked yet"
        token = await own.get("self")
        assert token.expires_at is not None
        assert known(own) == TokenExpiry(at=token.expires_at.replace(microsecond=0))
        assert not near(own)
        await age(service, made.token.id, 87)
        with pytest.raises(Forbidden):
            await own.account()
        ends = token.expires_at.replace(microsecond=0) - timedelta(days=87)
        assert known(own) == TokenExpiry(at=ends, number=made.token.number)
        assert near(own)
        await ledger.renew(made.token.id, lifetime="60d")
        await own.get("self")
        assert not near(own)
        await ledger.renew(made.token.id, lifetime="forever")
        await own.get("self")
        assert known(own) is None


async def test_a_replaced_secret_and_a_password_are_told_apart(ledger: Client, service: Service) -> None:
    made = await ledger.create("nightly", lifetime="90d")
    rotated = (await ledger.rotate(made.token.id, grace="1h")).token
    async with Client(service.url, made.secret) as own:
        await own.get("self")
        assert own.expiry is not None
        assert own.expiry.is_replaced
        assert rotated.previous_secret_until is not None
        assert own.expiry.at == rotated.previous_secret_until.replace(microsecond=0)
    async with Client(service.url, Password("nobody@counterfoil.example", "wrong")) as own:
        with pytest.raises(Refused):
            await own.account()
        assert own.expiry is None


async def test_a_stream_of_the_log_says_it_when_it_begins() -> None:
    reply = log_reply(head=0)
    headers = b"Token-Expires-At: 2026-12-01T10:00:00Z\r\nToken-Sunset: x\r\nToken-Number: 7\r\n"
    async with (
        scripted(reply.replace(b"Log-Head", headers + b"Log-Head")) as server,
        Client(server.url, "t", timeout_seconds=1) as own,
    ):
        assert [event async for event in own.events()] == []
        assert own.expiry == TokenExpiry(at=AT, number=7)


async def test_a_failure_on_the_way_does_not_make_the_client_forget() -> None:
    good = b"HTTP/1.1 404 No\r\nToken-Expires-At: 2026-12-01T10:00:00Z\r\nContent-Length: 0\r\n\r\n"
    async with (
        scripted(good, refusal(502, "gateway"), good) as server,
        Client(server.url, "t", timeout_seconds=0.3) as own,
    ):
        for _ in range(2):
            with pytest.raises(Refused):
                await own.get("self")
            assert own.expiry == TokenExpiry(at=AT)


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Token-Expires-At": ""}, {"Token-Expires-At": "2026-02-31T10:00:00Z"},
        {"Token-Expires-At": "2026-12-01T10:00:00+01:00"}, {"Token-Expires-At": "tomorrow"},
        {"Token-Expires-At": "2026-12-01T10:00:00Z, 2026-12-01T10:00:00Z"}, {"Token-Sunset": "x", "Token-Number": "7"},
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_nothing(headers: dict[str, str]) -> None:
    assert expiry_in(headers) is None


def test_a_number_that_is_none_is_no_warning() -> None:
    stated = {"Token-Expires-At": "2026-12-01T10:00:00Z", "Token-Sunset": "x"}
    assert expiry_in({**stated, "Token-Number": "7"}) == TokenExpiry(at=AT, number=7)
    for number in ("", "0", "-1", "7\u0661", "7; rm", "9" * 20):
        assert expiry_in({**stated, "Token-Number": number}) == TokenExpiry(at=AT)
