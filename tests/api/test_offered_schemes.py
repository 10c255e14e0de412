"""Clients that send credentials only after a challenge in a scheme that they know (RFC 9110 11.6)."""

import asyncio
import shutil
import urllib.request
from asyncio.subprocess import PIPE
from collections.abc import Callable
from urllib.error import HTTPError

import pytest

from api.proxy import issued
from api.service import Caller

WGET = pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")
CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

Fetch = Callable[[str, str, str], int]


def by_urllib(url: str, user: str, password: str) -> int:
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, url, user, password)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(passwords)
    )
    try:
        with opener.open(url, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


async def printed(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, complaint = await asyncio.wait_for(process.communicate(), 60)
    return out.decode() + complaint.decode()


async def by_curl(url: str, user: str, password: str) -> int:
    output = await printed(
        "curl", "--silent", "--noproxy", "*", "--anyauth", "--user", f"{user}:{password}", "--output", "/dev/null",
        "--write-out", "%{http_code}", url,
    )  # fmt: skip
    return int(output)


async def by_wget(url: str, user: str, password: str) -> int:
    output = await printed(
        "wget", "--no-proxy", "--no-config", "--server-response", "--tries=1", "--output-document=/dev/null",
        f"--user={user}", f"--password={password}", url,
    )  # fmt: skip
    return int([line.split()[1] for line in output.splitlines() if line.strip().startswith("HTTP/")][-1])


@pytest.mark.parametrize(
    "client",
    ["urllib", pytest.param("curl", marks=CURL), pytest.param("wget", marks=WGET)],
)
async def test_a_client_that_waits_for_a_basic_challenge_is_accepted(
    admin: Caller, api_url: str, ours: dict[str, str], client: str
) -> None:
    async def fetch(path: str, user: str, password: str) -> int:
        url = api_url + path
        if client == "urllib":
            return await asyncio.to_thread(by_urllib, url, user, password)
        return await (by_curl if client == "curl" else by_wget)(url, user, password)

    made = await issued(admin)
    guarded = f"/v1/forward?account={ours['account']}&scope=invoices.read"
    for path, user, password, status in (
        ("/v1/tokens/self", made["token"]["id"], made["secret"], 200),
        ("/v1/users/self", ours["admin_login"], ours["admin_password"], 200),
        ("/v1/users/self", ours["admin_login"], "a wrong password", 401),
        (guarded, made["token"]["id"], made["secret"], 200),
        (guarded, made["token"]["id"], "a-wrong-secret", 401),
        (guarded, ours["admin_login"], ours["admin_password"], 401),
    ):
        assert await fetch(path, user, password) == status, (path, user)
