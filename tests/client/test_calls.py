"""Calls of the client for tokens, with the real API."""

import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import asyncpg
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from client.running import Service
from counterfoil.client import Client, Conflict, Denied, Forbidden, Invalid, NotFound, StaleRevision
from counterfoil.core import moments


async def test_a_token_goes_through_its_whole_life_with_the_client(ledger: Client, service: Service) -> None:
    made = await ledger.create(
        "nightly",
        scopes=["jobs.run", "jobs.read"],
        owner=("service", "backup"),
        metadata={"team": "ops"},
        lifetime="90d",
    )
    token = made.token.id
    assert (made.token.status, made.token.owner.id, made.token.metadata) == ("active", "backup", {"team": "ops"})
    shown = await ledger.get(token)
    assert shown == await ledger.get(made.token.number)
    assert shown.creator.name == "administrator"  # names are looked up for the reader
    assert replace(shown, creator=made.token.creator, warnings=()) == made.token
    assert (await ledger.update(token, name="weekly", if_match=made.token.revision)).name == "weekly"
    assert (await ledger.renew(token, lifetime="30d")).lifetime == "30d"
    rotated = await ledger.rotate(token, grace="1h")
    assert rotated.token.generation == 2
    assert rotated.secret != made.secret
    assert (await ledger.suspend(token, reason="holidays")).status == "suspended"
    assert (await ledger.resume(token)).status == "active"
    copy = await ledger.clone(token, name="copy")
    assert copy.token.scopes == ("jobs.run", "jobs.read")
    async with Client(service.url, rotated.secret) as own:
        bearer = await own.exchange(audience=["archive"], scopes=["jobs.read"])
        assert (bearer.scope, (await own.get("self")).id) == ("jobs.read", token)
    assert (await ledger.introspect(bearer.access_token)).facts["aud"] == "archive"
    assert (await ledger.introspect(rotated.secret)).active
    assert (await ledger.revoke(token, reason="done")).status == "revoked"
    assert not (await ledger.introspect(rotated.secret)).active
    happened = [event.type async for event in ledger.token_events(token)]
    assert happened == ["created", "updated", "renewed", "rotated", "suspended", "resumed", "exchanged", "revoked"]
    newest = [event.version async for event in ledger.token_events(token, sort="-version", limit=2)]
    assert newest == [8, 7]


async def test_a_rotation_is_read_extended_and_confirmed(ledger: Client, service: Service) -> None:
    made = await ledger.create("nightly", lifetime="90d")
    token = made.token.id
    assert (await ledger.rotation(token)).previous is None
    new = await ledger.rotate(token, grace="1h")
    async with Client(service.url, made.secret) as old:
        await old.get("self")
    extended = await ledger.extend_grace(token, grace="2d", if_match=new.token.revision)
    seen = await ledger.rotation(token)
    assert seen.previous is not None
    assert (seen.previous.hint, seen.previous.good_until) == (made.token.hint, extended.previous_secret_until)
    assert (seen.present.hint, seen.present.used) == (new.token.hint, False)
    with pytest.raises(Conflict) as refused:
        await ledger.confirm_rotation(token)
    assert refused.value.name == "new-secret-unused"
    assert (await ledger.confirm_rotation(token, even_if_unused=True)).previous_secret_until is None


async def test_a_past_state_names_the_deciding_event(ledger: Client) -> None:
    made = await ledger.create("nightly", lifetime="90d")
    await ledger.suspend(made.token.id, reason="holidays")
    then = await ledger.get(made.token.id, as_of=1)
    assert then.status == "active"
    assert then.as_of is not UNSET
    assert then.as_of.decided_by.type == "created"
    assert (await ledger.get(made.token.id, as_of=datetime.now(UTC) - timedelta(seconds=0.001))).status == "suspended"


async def test_a_list_continues_over_its_pages(ledger: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counterfoil.client.calls._PAGE", 3)
    for number in range(8):
        await ledger.create(f"job-{number}")
    assert [token.name async for token in ledger.list(name="job-*", sort="name")] == [f"job-{n}" for n in range(8)]
    assert [token.name async for token in ledger.list(name="job-*", sort="-name", limit=4)] == [
        f"job-{n}" for n in (7, 6, 5, 4)
    ]
    assert [token async for token in ledger.list(limit=0)] == []
    soon = [token async for token in ledger.list(created_after=datetime.now(UTC) - timedelta(hours=1))]
    assert len(soon) == 9


async def test_alerts_list_expired_tokens_the_most_used_first(
    ledger: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterfoil.client.calls._PAGE", 1)
    account = (await ledger.account()).id
    for name in ("idle", "busy"):
        token = (await ledger.create(name, lifetime="1us")).token.id
        if name == "busy":
            await _use(service, token)
        await service.sweep(account, token)
    alerts = [alert async for alert in ledger.alerts()]
    assert [(alert.token.name, alert.kind, alert.recent_uses) for alert in alerts] == [
        ("busy", "expired", 7), ("idle", "expired", 0),
    ]  # fmt: skip
    assert alerts[0].left_seconds < 0
    assert alerts[0].token.status == "expired"


async def _use(service: Service, token_id: UUID) -> None:
    connection = await asyncpg.connect(service.database.owner_url)
    await connection.execute(
        "insert into token_use (account_id, token_id, day, generation, count, last_at)"
        " select account_id, token_id, current_date, 1, 7, now() from token where token_id = $1",
        token_id,
    )
    await connection.close()


async def test_refusals_have_kind_and_reason(ledger: Client, service: Service) -> None:
    made = await ledger.create("nightly", lifetime="1d")
    with pytest.raises(StaleRevision) as stale:
        await ledger.update(made.token.id, name="x", if_match=7)
    assert (stale.value.name, stale.value.status, stale.value.facts) == ("stale-revision", 412, {"revision": 1})
    assert stale.value.title
    assert stale.value.detail
    assert stale.value.request_id
    with pytest.raises(NotFound):
        await ledger.get(4711)
    with pytest.raises(Invalid) as invalid:
        await ledger.renew(made.token.id, lifetime="soon")
    assert invalid.value.name == "bad-duration"
    await ledger.revoke(made.token.id, reason="done")
    with pytest.raises(Conflict) as conflict:
        await ledger.renew(made.token.id)
    assert conflict.value.name == "already-revoked"
    async with Client(service.url, made.secret) as own:
        with pytest.raises(Denied):
            await own.get("self")
    poor = await ledger.create("poor")
    async with Client(service.url, poor.secret) as own:
        with pytest.raises(Forbidden):
            await own.create("child")


async def test_secrets_do_not_print_themselves(ledger: Client, service: Service) -> None:
    made = await ledger.create("nightly", scopes=["jobs.run"])
    async with Client(service.url, made.secret) as own:
        bearer = await own.exchange()
        shown = repr((made, bearer, own, vars(own)))
    assert made.secret not in shown
    assert bearer.access_token not in shown


@pytest.mark.parametrize("url", ["ledger.example", "ftp://ledger.example", "http://", ""])
def test_an_invalid_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        Client(url, "cfl_x")


@pytest.mark.parametrize("token", ["", "two words", "line\r\nHost: elsewhere", "schlüssel"])
def test_an_invalid_token_is_refused_without_being_repeated(token: str) -> None:
    with pytest.raises(ValueError, match="copy it again") as error:
        Client("http://ledger.example", token)
    assert not token or token not in str(error.value)


@pytest.mark.parametrize("ref", ["..", "a/b", "", "self?as_of=1", "x" * 65])
async def test_a_reference_cannot_change_the_path_of_a_request(ledger: Client, ref: str) -> None:
    with pytest.raises(ValueError, match="does not name a token"):
        await ledger.get(ref)


async def test_a_moment_needs_a_time_zone(ledger: Client) -> None:
    naive = datetime(2026, 1, 1, 12)  # noqa: DTZ001 - that is the point
    words = re.escape(str(moments.zoneless("2026-01-01T12:00:00")))
    with pytest.raises(ValueError, match=words):
        await ledger.get("self", as_of=naive)
    with pytest.raises(ValueError, match=words):
        await ledger.create("x", expires_at=naive)
    with pytest.raises(ValueError, match=words):
        await anext(ledger.list(created_before=naive))
    with pytest.raises(ValueError, match=words):
        await ledger.import_tokens([{"name": "x", "secret": "s" * 30, "created_at": naive}])
    with pytest.raises(Invalid, match=words):  # the API's own message
        await anext(ledger.list(created_before=naive.isoformat()))


async def test_the_reply_shows_the_moment_that_was_understood(ledger: Client) -> None:
    given = datetime(2036, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    made = await ledger.create("with a zone", expires_at=given)
    assert (made.token.expires_at, str(made.token.expires_at)) == (given, "2036-01-01 10:00:00+00:00")
