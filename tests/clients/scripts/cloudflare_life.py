"""A service token's whole life with PyPI `cloudflare`, unpatched, by its synchronous or asynchronous client."""

import asyncio
import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from cloudflare import APIStatusError, AsyncCloudflare, Cloudflare

UNKNOWN = "f174e90a-fafe-4643-bbbc-4a0ed4fc8415"
LATER, EARLIER = "2090-01-01T00:00:00Z", "2020-01-01T00:00:00Z"


async def got(answer: Any) -> Any:
    """The result of either client."""
    return await answer if inspect.isawaitable(answer) else answer


async def plain(answer: Any) -> Any:
    """A model of the client, as in the answer."""
    return (await got(answer)).model_dump(mode="json", exclude_unset=True)


async def every(pages: Any) -> list[Any]:
    """All items that the client finds with its own paging."""
    if hasattr(pages, "__aiter__"):
        return [each async for each in pages]
    return list(await got(pages))


async def refusal(call: Callable[[], Awaitable[Any]]) -> Any:
    try:
        await got(call())
    except APIStatusError as error:
        return [type(error).__name__, error.status_code, [[each.code, each.message] for each in error.errors]]
    return None


async def life(client: Any, stranger: Any, keyed: Any, given: dict[str, Any]) -> dict[str, Any]:
    tokens, name = client.zero_trust.access.service_tokens, given["name"]
    account = {"account_id": given["account"]}
    created = await plain(tokens.create(name=name, duration="24h", **account))
    this = {"service_token_id": created["id"], **account}
    told: dict[str, Any] = {"created": created}
    told["got"] = await plain(tokens.get(created["id"], **account))
    told["updated"] = await plain(tokens.update(**this, name=f"{name} renamed", duration="48h"))
    told["refreshed"] = await plain(tokens.refresh(**this))
    told["rotated"] = await plain(tokens.rotate(**this))
    told["rotated later"] = await plain(tokens.rotate(**this, previous_client_secret_expires_at=given["soon"]))
    told["ended"] = await plain(tokens.update(**this, previous_client_secret_expires_at=EARLIER))
    told["version"] = await plain(tokens.update(**this, client_secret_version=9))
    told["disabled"] = await plain(tokens.update(**this, enabled=False))
    told["enabled"] = await plain(tokens.update(**this, enabled=True))

    others = [await plain(tokens.create(name=f"{name} {n}", duration="forever", **account)) for n in range(5)]
    pages = await every(tokens.list(search=name.upper(), per_page=2, **account))
    told["pages"] = [each.id for each in pages] == [created["id"], *(each["id"] for each in others)]
    told["third"] = [each.id for each in await every(tokens.list(name=f"{name} 3", **account))] == [others[3]["id"]]
    told["forever"] = await plain(tokens.get(others[0]["id"], **account))

    raw = tokens.with_raw_response
    answers = [
        await got(raw.create(name=f"{name} raw", **account)),
        await got(raw.list(**account)),
        await got(raw.get(**this)),
        await got(raw.update(**this)),
        await got(raw.refresh(**this)),
        await got(raw.rotate(**this)),
    ]
    made = json.loads(await got(answers[0].read()))
    told["envelope"] = made | {"result": sorted(made["result"])}
    answers.append(await got(raw.delete(made["result"]["id"], **account)))
    told["statuses"] = [each.status_code for each in answers]

    zone = {"zone_id": given["zone_id"]}
    inside = await plain(tokens.create(name=f"{name} of a zone", **zone))
    there = {"service_token_id": inside["id"], **zone}
    told["zone"] = [
        (await plain(tokens.get(**there)))["id"] == inside["id"],
        (await plain(tokens.update(**there, name="of a zone")))["name"],
        inside["id"] in [each.id for each in await every(tokens.list(per_page=1, **zone))],
        created["id"] in [each.id for each in await every(tokens.list(**zone))],
        (await plain(tokens.delete(**there)))["id"] == inside["id"],
        await refusal(lambda: tokens.get(**there)),
    ]

    told["keyed"] = (await plain(keyed.zero_trust.access.service_tokens.get(**this)))["id"] == created["id"]
    told["refused"] = {
        "unknown": await refusal(lambda: tokens.get(UNKNOWN, **account)),
        "no UUID": await refusal(lambda: tokens.get("nonsense", **account)),
        "bad duration": await refusal(lambda: tokens.create(name=name, duration="a year", **account)),
        "no name": await refusal(lambda: tokens.create(name="", **account)),
        "elsewhere": await refusal(lambda: tokens.list(account_id="0" * 32)),
        "stranger": await refusal(lambda: stranger.zero_trust.access.service_tokens.list(**account)),
        "powerless": await refusal(
            lambda: client.with_options(api_token=others[0]["client_secret"]).zero_trust.access.service_tokens.list(
                **account
            )
        ),
    }
    told["deleted"] = await plain(tokens.delete(**this))
    told["gone"] = await refusal(lambda: tokens.delete(**this))
    return told


async def cut(given: dict[str, Any]) -> list[Any]:
    """Make simultaneous calls, each over its own connection that fails once."""

    async def one(call: dict[str, Any]) -> Any:
        client = AsyncCloudflare(base_url=f"{call['url']}/cloudflare/client/v4", api_token=given["admin_token"])
        make = getattr(client.zero_trust.access.service_tokens, call["call"])
        return await plain(make(account_id=given["account"], **call["with"]))

    return await asyncio.gather(*map(one, given["calls"]))


async def main(given: dict[str, Any]) -> Any:
    if given["kind"] == "cut":
        return await cut(given)
    client = AsyncCloudflare if given["kind"] == "asynchronous" else Cloudflare
    base = f"{given['url']}/cloudflare/client/v4"
    admin = client(base_url=base, api_token=given["admin_token"])
    stranger = client(base_url=base, api_token="0" * 64)
    keyed = client(base_url=base, api_email=given["admin_email"], api_key=given["admin_token"])
    return await life(admin, stranger, keyed, given)


print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
