"""PyPI `cloudflare` against the service, by its base URL alone: its client, its asynchronous one, and cut replies."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from client.cutting import Failure, break_afterwards, cutting, lose_the_answer, lose_the_end
from clients.conftest import Place
from clients.environment import Clients
from dialects.cloudflare import CREATED, SHOWN, of_account

pytestmark = pytest.mark.clients
FAILURES: tuple[Failure, ...] = (lose_the_answer, lose_the_end, break_afterwards)


@pytest.mark.parametrize("kind", ["synchronous", "asynchronous"])
async def test_the_client_leads_a_token_through_its_life(clients: Clients, place: Place, kind: str) -> None:
    name, now = f"{kind} {uuid4().hex}", datetime.now(UTC)
    output = await clients.run(
        "cloudflare_life.py", place.given(kind=kind, name=name, soon=(now + timedelta(hours=1)).isoformat())
    )
    created = output["created"]
    assert (set(created), created["name"], created["duration"]) == (set(CREATED), name, "24h")
    assert output["got"]["id"] == created["id"]
    assert datetime.fromisoformat(output["got"]["expires_at"]) > now + timedelta(hours=23)
    assert datetime.fromisoformat(output["updated"]["expires_at"]) > now + timedelta(hours=47)
    assert (output["updated"]["name"], output["updated"]["duration"]) == (f"{name} renamed", "48h")
    for each in ("got", "updated", "refreshed", "ended", "disabled", "enabled", "forever", "deleted"):
        assert set(output[each]) == set(SHOWN), each
    secrets = [output[each]["client_secret"] for each in ("created", "rotated", "rotated later", "version")]
    assert len(set(secrets)) == 4
    assert {output[each]["client_id"] for each in ("created", "rotated", "rotated later")} == {created["client_id"]}
    assert (output["disabled"]["enabled"], output["enabled"]["enabled"]) == (False, True)
    assert (output["pages"], output["third"], output["keyed"]) == (True, True, True)
    assert (output["forever"]["duration"], output["forever"]["expires_at"]) == ("forever", None)
    assert output["statuses"] == [201, 200, 200, 200, 200, 200, 200]
    assert output["envelope"] == {"success": True, "errors": [], "messages": [], "result": sorted(CREATED)}
    not_found = ["NotFoundError", 404, [[12130, "access.api.error.service_token_not_found"]]]
    assert output["zone"] == [True, "of a zone", True, False, True, not_found]
    refused = output["refused"]
    assert (refused["unknown"], refused["no UUID"], output["gone"]) == (not_found, not_found, not_found)
    assert {which: refused[which][:2] for which in list(refused)[2:]} == {
        "bad duration": ["BadRequestError", 400],
        "no name": ["BadRequestError", 400],
        "elsewhere": ["NotFoundError", 404],
        "stranger": ["AuthenticationError", 401],
        "powerless": ["PermissionDeniedError", 403],
    }
    assert output["deleted"]["id"] == created["id"]


async def test_a_call_whose_reply_was_lost_is_repeated_and_done_once(clients: Clients, place: Place) -> None:
    access, name = of_account(place.native, place.account), f"cut {uuid4().hex}"
    calls: list[dict[str, Any]] = []
    async with AsyncExitStack() as stack:
        for number, failure in enumerate(FAILURES):
            tokens = [await access.made(f"{name} {number} {n}") for n in range(4)]
            ids = [{"service_token_id": token["id"]} for token in tokens]
            requests: list[tuple[str, dict[str, Any]]] = [
                ("create", {"name": f"{name} {number}"}),
                ("rotate", ids[0]),
                ("update", ids[1] | {"client_secret_version": 2}),
                ("update", ids[2] | {"name": f"{name} renamed"}),
                ("refresh", ids[3]),
            ]
            for call, given in requests:
                proxy = await stack.enter_async_context(cutting(place.url))
                proxy.failures.append(failure)
                calls.append({"call": call, "with": given, "url": proxy.url})
        answers = await clients.run("cloudflare_life.py", place.given(kind="cut", calls=calls))
    for made, answer in zip(calls, answers, strict=True):
        if made["call"] == "create":
            assert [each["id"] for each in await access.listed(name=made["with"]["name"])] == [answer["id"]]
        token = (await place.native.get(f"/v1/tokens/{answer['id']}")).json
        turned = made["call"] == "rotate" or "client_secret_version" in made["with"]
        assert token["generation"] == (2 if turned else 1), made
        if turned or made["call"] == "create":
            assert await access.accepts(answer, answer["client_secret"]), made
