"""Times, dates and durations as bounds of every list for auditors."""

from datetime import UTC, datetime, timedelta

import pytest

from api.service import Caller

LISTS = ("/v1/reads", "/v1/attempts", "/v1/account/events")


@pytest.fixture
async def happened(admin: Caller) -> Caller:
    """An account with an item in every list."""
    await admin.put("/v1/scopes/periods.read", {"sentence": "Read periods."})
    await admin.get("/v1/reads")
    issued = await admin.issue()
    await admin.post(f"/v1/tokens/{issued['token']['id']}/revoke", {"reason": "over"})
    await admin.with_token(issued["secret"]).get("/v1/tokens/self")
    for _ in range(300):
        if (await admin.get("/v1/attempts", kind="token-revoked")).json["items"]:
            break
    return admin


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_is_bounded_by_times_dates_and_durations(happened: Caller, path: str) -> None:
    now = datetime.now(UTC)
    tomorrow, hour = (now + timedelta(days=1)).date().isoformat(), now - timedelta(hours=1)
    everything = (await happened.get(path, limit=200)).json["items"]
    assert everything
    for query in (
        {"since": "1h"},
        {"since": hour.isoformat()},
        {"until": tomorrow},
        {"since": "1h", "until": tomorrow},
    ):
        assert len((await happened.get(path, limit=200, **query)).json["items"]) >= len(everything)
    for nothing in ({"until": "1h"}, {"until": "2020-01-01"}, {"since": tomorrow}, {"since": "2h", "until": "1h"}):
        assert (await happened.get(path, **nothing)).json["items"] == []


@pytest.mark.parametrize("path", LISTS)
async def test_an_invalid_moment_or_period_is_refused(happened: Caller, path: str) -> None:
    for query, field in (
        ({"since": "yesterday"}, "since"), ({"until": "2027-02-30"}, "until"),
        ({"since": "2027-01-02", "until": "2027-01-01"}, "until"),
    ):  # fmt: skip
        refused = await happened.get(path, **query)
        assert (refused.status, refused.problem, refused.json["field"]) == (422, "invalid-request", field)
        assert "such as" in refused.json["detail"]


async def test_later_pages_keep_the_period(happened: Caller) -> None:
    first = (await happened.get("/v1/account/events", limit=1, since="1h")).json
    again = await happened.get("/v1/account/events", limit=1, since="2h", cursor=first["next_cursor"])
    assert again.problem == "bad-cursor"
    more = await happened.get("/v1/account/events", limit=1, since="1h", cursor=first["next_cursor"])
    assert more.status == 200
    assert more.json["items"][0]["at"] <= first["items"][0]["at"]


async def test_the_first_minute_of_a_period_is_part_of_it(happened: Caller) -> None:
    latest = (await happened.get("/v1/attempts", kind="token-revoked")).json["items"][0]
    begins = datetime.fromisoformat(latest["minute"]) + timedelta(seconds=30)
    assert (await happened.get("/v1/attempts", since=begins.isoformat())).json["items"]
    assert not (await happened.get("/v1/attempts", until=latest["minute"], since="1s")).json["items"]
