"""PyPI `cloudflare` against the service, by its base URL alone: its client, and its asynchronous one."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from clients.conftest import Place
from clients.environment import Clients
from dialects.cloudflare import CREATED, SHOWN

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("kind", ["synchronous", "asynchronous"])
async def test_the_client_leads_a_token_through_its_life(clients: Clients, place: Place, kind: str) -> None:
    name, now = f"{kind} {uuid4().hex}", datetime.now(UTC)
    said = await clients.run(
        "cloudflare_life.py", place.given(kind=kind, name=name, soon=(now + timedelta(hours=1)).isoformat())
    )
    created = said["created"]
    assert (set(created), created["name"], created["duration"]) == (set(CREATED), name, "24h")
    assert said["got"]["id"] == created["id"]
    assert datetime.fromisoformat(said["got"]["expires_at"]) > now + timedelta(hours=23)
    assert datetime.fromisoformat(said["updated"]["expires_at"]) > now + timedelta(hours=47)
    assert (said["updated"]["name"], said["updated"]["duration"]) == (f"{name} renamed", "48h")
    for each in ("got", "updated", "refreshed", "ended", "disabled", "enabled", "forever", "deleted"):
        assert set(said[each]) == set(SHOWN), each
    secrets = [said[each]["client_secret"] for each in ("created", "rotated", "rotated later", "version")]
    assert len(set(secrets)) == 4
    assert {said[each]["client_id"] for each in ("created", "rotated", "rotated later")} == {created["client_id"]}
    assert (said["disabled"]["enabled"], said["enabled"]["enabled"]) == (False, True)
    assert (said["pages"], said["third"], said["keyed"]) == (True, True, True)
    assert (said["forever"]["duration"], said["forever"]["expires_at"]) == ("forever", None)
    assert said["statuses"] == [201, 200, 200, 200, 200, 200, 200]
    assert said["envelope"] == {"success": True, "errors": [], "messages": [], "result": sorted(CREATED)}
    not_found = ["NotFoundError", 404, [[12130, "access.api.error.service_token_not_found"]]]
    assert said["zone"] == [True, "of a zone", True, False, True, not_found]
    refused = said["refused"]
    assert (refused["unknown"], refused["no UUID"], said["gone"]) == (not_found, not_found, not_found)
    assert {which: refused[which][:2] for which in list(refused)[2:]} == {
        "bad duration": ["BadRequestError", 400],
        "no name": ["BadRequestError", 400],
        "elsewhere": ["NotFoundError", 404],
        "stranger": ["AuthenticationError", 401],
        "powerless": ["PermissionDeniedError", 403],
    }
    assert said["deleted"]["id"] == created["id"]
