"""Cloudflare Access service tokens: their whole life, in accounts and in zones."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from api.service import Caller
from dialects.accounts import Account
from dialects.cloudflare import BASE, CREATED, MOMENT, SECRET, SHOWN, Access, good, of_account, of_zone, refused


@pytest.fixture
def access(native: Caller, here: Account) -> Access:
    return of_account(native, here)


@pytest.fixture
def zone(native: Caller, here: Account) -> Access:
    return of_zone(native, here.zone_id)


def reported(moment: str) -> datetime:
    assert MOMENT.fullmatch(moment)
    return datetime.fromisoformat(moment)


async def test_a_token_is_created_shown_updated_refreshed_rotated_and_deleted(access: Access) -> None:
    token = await access.made(duration="60m")
    assert list(token) == CREATED
    assert SECRET.fullmatch(token["client_secret"])
    assert token["client_id"] == f"{UUID(token['id']).hex}.access"
    assert (token["name"], token["duration"], token["enabled"]) == ("CI/CD token", "60m", True)

    shown = await access.shown(token)
    assert list(shown) == SHOWN
    assert shown == {key: value for key, value in token.items() if key != "client_secret"} | {
        "expires_at": shown["expires_at"], "last_seen_at": None,
    }  # fmt: skip
    assert reported(shown["expires_at"]) - reported(shown["created_at"]) == timedelta(hours=1)

    renamed = await access.changed(token, name="another")
    assert list(renamed) == SHOWN
    assert renamed == shown | {"name": "another", "updated_at": renamed["updated_at"]}
    await asyncio.sleep(1.1)
    refreshed = await access.done(token, "refresh")
    assert list(refreshed) == SHOWN
    assert reported(refreshed["expires_at"]) > reported(shown["expires_at"])

    rotated = await access.done(token, "rotate")
    assert list(rotated) == CREATED
    assert rotated["client_secret"] != token["client_secret"]
    assert (rotated["id"], rotated["client_id"]) == (token["id"], token["client_id"])
    assert [await access.accepts(token, each["client_secret"]) for each in (token, rotated)] == [False, True]

    deleted = await access.caller.delete(f"{access.tokens}/{token['id']}")
    assert (deleted.status, list(good(deleted))) == (200, SHOWN)
    refused(await access.caller.get(f"{access.tokens}/{token['id']}"), 404, 12130, "service_token_not_found")
    refused(await access.caller.delete(f"{access.tokens}/{token['id']}"), 404, 12130, "service_token_not_found")
    assert not await access.accepts(token, rotated["client_secret"])


async def test_by_default_a_token_lives_for_a_year_and_has_no_scopes(
    access: Access, native: Caller, here: Account
) -> None:
    token = await access.made()
    assert token["duration"] == "8760h"
    seen = (await native.get(f"/v1/tokens/{token['id']}")).json
    assert (seen["dialect"], seen["scopes"], seen["metadata"]) == ("cloudflare", [], {})
    assert (seen["owner"]["type"], seen["owner"]["id"]) == ("service", here.account.hex)
    answer = await native.with_token(token["client_secret"]).get(access.tokens)
    refused(answer, 403, 9109, "Unauthorized to access requested resource")


@pytest.mark.parametrize(
    ("duration", "seconds"), [("300ms", 0.3), ("2h45m", 9_900), ("1.5h", 5_400), ("8760h", 31_536_000), ("forever", 0)]
)
async def test_a_duration_is_shown_as_it_was_given(access: Access, duration: str, seconds: float) -> None:
    shown = await access.shown(await access.made(duration=duration))
    assert shown["duration"] == duration
    if duration == "forever":
        assert shown["expires_at"] is None
    else:
        lived = reported(shown["expires_at"]) - reported(shown["created_at"])
        assert abs(lived.total_seconds() - seconds) <= 1


async def test_the_duration_of_a_native_token_is_shown_in_gos_units(access: Access, native: Caller) -> None:
    in_days = (await native.issue(lifetime="90d", name="days"))["token"]
    until = (await native.issue(expires_at="2049-01-01T00:00:00Z", name="until"))["token"]
    never = (await native.issue(name="never"))["token"]
    assert (await access.shown(in_days))["duration"] == "2160h"
    assert (await access.shown(never))["duration"] == "forever"
    shown = await access.shown(until)
    lived = datetime(2049, 1, 1, tzinfo=UTC) - reported(shown["created_at"])
    hours = int(shown["duration"].partition("h")[0])
    assert timedelta(hours=hours) <= lived <= timedelta(hours=hours + 1)
    assert (await access.changed(in_days, duration="2160h"))["expires_at"] == (await access.shown(in_days))[
        "expires_at"
    ]
    refreshed = await access.done(until, "refresh")
    assert refreshed["duration"] == shown["duration"]
    assert reported(refreshed["expires_at"]) >= reported(shown["expires_at"])
    assert (await access.done(never, "refresh"))["expires_at"] is None


async def test_an_empty_put_changes_nothing(access: Access) -> None:
    token = await access.made(duration="24h")
    shown = await access.shown(token)
    assert await access.changed(token) == shown
    answer = await access.caller.ask("PUT", f"{access.tokens}/{token['id']}", b"")
    assert good(answer) == shown
    assert await access.changed(token, duration="24h", name=token["name"], enabled=True) == shown


async def test_a_new_duration_counts_from_now(access: Access) -> None:
    token = await access.made(duration="24h")
    changed = await access.changed(token, duration="1h")
    assert changed["duration"] == "1h"
    assert reported(changed["expires_at"]) < reported(changed["created_at"]) + timedelta(hours=2)
    assert (await access.changed(token, duration="forever"))["expires_at"] is None


async def test_a_disabled_token_is_refused_until_it_is_enabled(access: Access) -> None:
    token = await access.made(enabled=False)
    assert token["enabled"] is False
    assert not await access.accepts(token, token["client_secret"])
    assert (await access.changed(token, enabled=True))["enabled"] is True
    assert await access.accepts(token, token["client_secret"])
    later = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    rotated = await access.done(token, "rotate", {"previous_client_secret_expires_at": later})
    assert (await access.changed(token, enabled=False))["enabled"] is False
    secrets = (token["client_secret"], rotated["client_secret"])
    assert [await access.accepts(token, each) for each in secrets] == [False, False]
    await access.changed(token, enabled=True)
    assert [await access.accepts(token, each) for each in secrets] == [True, True]


async def test_a_rotation_within_a_grace_ends_the_oldest_secret_as_at_the_vendor(access: Access) -> None:
    token = await access.made()
    until = {"previous_client_secret_expires_at": f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"}
    turned = [await access.done(token, "rotate", until) for _ in range(2)]
    turned.append(await access.changed(token, client_secret_version=4, **until))
    secrets = [each["client_secret"] for each in (token, *turned)]
    assert [await access.accepts(token, each) for each in secrets] == [False, False, True, True]


async def test_the_previous_secret_ends_at_the_stated_time(access: Access) -> None:
    token = await access.made()
    old = token["client_secret"]
    now = datetime.now(UTC)
    soon, later = (f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S+00:00}" for hours in (1, 2))
    new = (await access.done(token, "rotate", {"previous_client_secret_expires_at": soon}))["client_secret"]
    assert [await access.accepts(token, each) for each in (old, new)] == [True, True]
    assert "client_secret" not in await access.changed(token, previous_client_secret_expires_at=later)
    seen = (await access.caller.get(f"/v1/tokens/{token['id']}")).json
    assert datetime.fromisoformat(seen["previous_secret_until"]) == datetime.fromisoformat(later)
    past = "2020-01-01T00:00:00Z"
    await access.changed(token, previous_client_secret_expires_at=past)
    assert [await access.accepts(token, each) for each in (old, new)] == [False, True]
    await access.changed(token, previous_client_secret_expires_at=past)  # ended as stated
    answer = await access.put(token, previous_client_secret_expires_at=later)
    refused(answer, 400, 12130, "no previous secret that is still good")
    assert not await access.accepts(token, old)
    far = f"{now + timedelta(days=400):%Y-%m-%dT%H:%M:%SZ}"
    answer = await access.caller.post(
        f"{access.tokens}/{token['id']}/rotate", {"previous_client_secret_expires_at": far}
    )
    refused(answer, 400, 12130, pointer="/previous_client_secret_expires_at")


async def test_an_end_without_a_previous_secret_is_ignored(access: Access) -> None:
    later = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    token = await access.made(client_secret_version=1, previous_client_secret_expires_at=later)
    again = await access.changed(
        token, name="renamed", client_secret_version=1, previous_client_secret_expires_at=later
    )
    assert again["name"] == "renamed"
    assert await access.accepts(token, token["client_secret"])


async def test_a_greater_version_rotates_once(access: Access) -> None:
    token = await access.made(client_secret_version=1)
    later = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    changed = await access.changed(token, client_secret_version=2, previous_client_secret_expires_at=later, name="v2")
    assert list(changed) == ["client_id", "client_secret", *SHOWN[1:]]
    assert SECRET.fullmatch(changed["client_secret"])
    assert changed["name"] == "v2"
    again = await access.changed(token, client_secret_version=2.0, previous_client_secret_expires_at=later, name="v2")
    assert "client_secret" not in again
    for each in (token, changed):
        assert await access.accepts(token, each["client_secret"])
    third = await access.changed(token, client_secret_version=7)
    assert "client_secret" not in await access.changed(token, client_secret_version=7)
    assert [await access.accepts(token, each["client_secret"]) for each in (token, changed, third)] == [
        False, False, True,
    ]  # fmt: skip
    await access.done(token, "rotate")  # this is version 8
    assert "client_secret" not in await access.changed(token, client_secret_version=8)
    assert "client_secret" not in await access.changed(token, client_secret_version=3)
    assert "client_secret" in await access.changed(token, client_secret_version=4)


async def test_a_version_may_begin_anywhere_and_keeps_other_metadata(access: Access, native: Caller) -> None:
    token = await access.made(client_secret_version=40)
    await native.patch(f"/v1/tokens/{token['id']}", {"metadata": {"team": "edge"}})  # removes the offset, too
    assert "client_secret" in await access.changed(token, client_secret_version=41)
    metadata = (await native.get(f"/v1/tokens/{token['id']}")).json["metadata"]
    assert metadata == {"team": "edge", "cloudflare.client_secret_version_offset": "39"}
    await native.patch(f"/v1/tokens/{token['id']}", {"metadata": {"cloudflare.client_secret_version_offset": "x" * 9}})
    assert "client_secret" not in await access.changed(token, client_secret_version=2)
    assert (await native.get(f"/v1/tokens/{token['id']}")).json["metadata"] == {
        "cloudflare.client_secret_version_offset": "x" * 9
    }


async def test_of_two_simultaneous_raises_of_the_version_one_rotates(access: Access) -> None:
    token = await access.made()
    answers = await asyncio.gather(*(access.changed(token, client_secret_version=2) for _ in range(4)))
    assert sum("client_secret" in each for each in answers) == 1
    assert (await access.caller.get(f"/v1/tokens/{token['id']}")).json["generation"] == 2


async def test_a_put_is_executed_completely_or_not_at_all(access: Access) -> None:
    token = await access.made()
    shown = await access.shown(token)
    answer = await access.put(token, name="new", enabled=False, client_secret_version=2, duration="0s")
    refused(answer, 400, 12130, "zero", pointer="/duration")
    assert await access.shown(token) == shown
    assert await access.accepts(token, token["client_secret"])


async def test_an_expired_token_is_refreshed_or_revived_with_a_new_secret(access: Access) -> None:
    tokens = [await access.made(duration="300ms") for _ in range(2)]
    await asyncio.sleep(0.4)
    for token in tokens:
        assert not await access.accepts(token, token["client_secret"])
        answer = await access.caller.post(f"{access.tokens}/{token['id']}/rotate")
        refused(answer, 400, 12130, "expired")
        refused(await access.put(token, client_secret_version=2), 400, 12130, "expired")
    changed = await access.changed(tokens[1], client_secret_version=2, duration="1h", enabled=True)
    assert await access.accepts(tokens[1], changed["client_secret"])
    assert not await access.accepts(tokens[1], tokens[1]["client_secret"])
    await access.changed(tokens[0], duration="1h")
    await access.done(tokens[0], "refresh")
    assert await access.accepts(tokens[0], tokens[0]["client_secret"])


async def test_pages_continue_past_the_end_and_show_no_secret(zone: Access) -> None:
    made = [await zone.made(f"page {number}") for number in range(5)]
    found, number = [], 1
    while page := await zone.listed(page=number, per_page=2, search="PAGE"):
        assert all(list(each) == SHOWN for each in page)
        found += page
        number += 1
    assert [each["id"] for each in found] == [each["id"] for each in made]
    last = await zone.caller.get(zone.tokens, page=9, per_page=2, search="page", order="ignored")
    assert last.json["result"] == []
    assert last.json["result_info"] == {"count": 0, "page": 9, "per_page": 2, "total_count": 5, "total_pages": 3}
    first = await zone.caller.get(zone.tokens)
    assert not any(each["client_secret"].encode() in first.body for each in made)
    for query in ({"page": 0}, {"per_page": 0}, {"per_page": 1001}, {"page": "x"}):
        refused(await zone.caller.get(zone.tokens, **query), 400, 12130, pointer=f"/{next(iter(query))}")


async def test_a_name_filter_is_exact_and_a_search_matches_anywhere(access: Access) -> None:
    names = ("exact*", "exactly", "not exact*")
    made = {name: (await access.made(name))["id"] for name in names}
    assert [each["id"] for each in await access.listed(name="exact*")] == [made["exact*"]]
    assert [each["id"] for each in await access.listed(search="EXACT*")] == [made["exact*"], made["not exact*"]]
    assert await access.listed(name="exact") == []


async def test_a_zone_has_its_own_tokens_and_the_account_has_all(access: Access, zone: Access, here: Account) -> None:
    inside, outside = await zone.made("of the zone"), await access.made("of the account")
    assert (await zone.shown(inside))["name"] == "of the zone"
    everything, of_the_zone = [{token["id"] for token in await each.listed()} for each in (access, zone)]
    assert {inside["id"], outside["id"]} <= everything
    assert inside["id"] in of_the_zone
    assert outside["id"] not in of_the_zone
    refused(await zone.caller.get(f"{zone.tokens}/{outside['id']}"), 404, 12130, "service_token_not_found")
    refused(await zone.put(outside, name="mine"), 404, 12130)
    refused(await zone.caller.delete(f"{zone.tokens}/{outside['id']}"), 404, 12130)
    assert (await zone.changed(inside, name="renamed"))["name"] == "renamed"
    for what in ("refresh", "rotate"):
        refused(await zone.caller.post(f"{zone.tokens}/{inside['id']}/{what}"), 404, 7003, "Could not route")
        await access.done(inside, what)
    seen = (await zone.caller.get(f"/v1/tokens/{inside['id']}")).json
    assert seen["owner"] == {"type": "service", "id": here.zone_id}
    assert good(await zone.caller.delete(f"{zone.tokens}/{inside['id']}"))["id"] == inside["id"]
    refused(await zone.caller.get(f"{BASE}/zones/{'0' * 32}/access/service_tokens"), 404, 7003)
    refused(await zone.caller.get(f"{BASE}/zones/example.org/access/service_tokens"), 404, 7003)


async def test_a_zone_exists_once_a_token_belonged_to_it(native: Caller, native_there: Caller) -> None:
    zone_id = uuid4().hex
    zone = of_zone(native, zone_id)
    refused(await native.get(zone.tokens), 404, 7003)
    token = (await native.issue(owner={"type": "service", "id": zone_id}))["token"]
    await native.post(f"/v1/tokens/{token['id']}/revoke", {"reason": "it only makes the zone known"})
    for _ in range(2):
        assert await zone.listed() == []
    refused(await native_there.get(zone.tokens), 404, 7003)
    assert (await zone.made())["id"] in {each["id"] for each in await zone.listed()}


async def test_tokens_and_zones_of_another_account_are_not_found(
    access: Access, native_there: Caller, here: Account, there: Account
) -> None:
    token = await access.made()
    theirs = of_account(native_there, there)
    refused(await native_there.get(access.tokens), 404, 7003)
    refused(await native_there.post(access.tokens, {"name": "intruder"}), 404, 7003)
    refused(await native_there.get(of_zone(native_there, here.zone_id).tokens), 404, 7003)
    refused(await native_there.get(f"{BASE}/accounts/{'0' * 32}/access/service_tokens"), 404, 7003)
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/refresh"), ("POST", "/rotate")):
        for place, code in ((theirs, 12130), (access, 7003)):
            refused(await native_there.ask(method, f"{place.tokens}/{token['id']}{path}"), 404, code)
    assert not await theirs.accepts(token, token["client_secret"])
    assert token["id"] not in {each["id"] for each in await theirs.listed()}
    assert await access.accepts(token, token["client_secret"])


async def test_the_account_id_may_have_dashes(access: Access, here: Account) -> None:
    dashed = Access(access.caller, f"{BASE}/accounts/{here.account}/access/service_tokens")
    assert [each["id"] for each in await dashed.listed()] == [each["id"] for each in await access.listed()]


async def test_scopes_apply_here_as_natively(access: Access, native: Caller, here: Account) -> None:
    token = await access.made()
    reader = of_account(await native.holder("tokens.read"), here)
    assert (await reader.shown(token))["id"] == token["id"]
    refused(await reader.put(token, name="no"), 403, 9109, "tokens.update")
    updater = of_account(await native.holder("tokens.update"), here)
    assert (await updater.changed(token, name="yes"))["name"] == "yes"
    for body, scope in (
        ({"enabled": False}, "tokens.suspend"),
        ({"enabled": True}, "tokens.resume"),
        ({"duration": "1h"}, "tokens.renew"),
        ({"client_secret_version": 2}, "tokens.rotate"),
    ):
        refused(await updater.put(token, **body), 403, 9109, scope)
    own = of_account(await native.holder("own.*", owner={"type": "service", "id": "edge"}), here)
    refused(await own.caller.post(own.tokens, {"name": "for the account"}), 403, 9109, "its own owner")
    assert await own.listed(name=token["name"]) == []
    refused(await own.caller.get(f"{own.tokens}/{token['id']}"), 404, 12130)
