"""A. The form of a token, and what it does not reveal."""

import re

from aiohttp import ClientSession

from api.service import Caller, served, settings_for
from counterfoil.core.secret import PREFIXES, Secret, base62, checksum, mint, recognised
from counterfoil.postgres.connection import Connection
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database
from postgres.tenant import PEPPERS, tenant_of
from postgres.test_lookup import looking, opened
from security.scanner import Scanner


def test_kinds_differ_in_their_prefix_and_a_double_click_selects_the_whole_token() -> None:
    assert len(set(PREFIXES.values())) == len(PREFIXES)
    for kind, prefix in PREFIXES.items():
        plain = mint(kind).plain
        assert re.fullmatch(r"\w+", plain, re.ASCII)
        assert [each for each in PREFIXES.values() if plain.startswith(each)] == [prefix]
        assert len(plain) <= 255


async def test_a_mistyped_secret_is_refused_before_the_database_is_queried() -> None:
    nowhere = settings_for("postgresql://nobody@127.0.0.1:1/nothing")
    good = mint("service").plain
    async with served(make_app(nowhere)) as url, ClientSession(url) as session:
        caller = Caller(session, "")
        assert (await caller.with_token(good).get("/v1/tokens")).status == 503
        for slip in (good[:-1], good + "0", good[:20] + good[21] + good[20] + good[22:], f"cfl_service_{'0' * 49}"):
            assert recognised(slip) is None or slip == good
            refused = await caller.with_token(slip).get("/v1/tokens")
            assert (refused.status == 503) == (slip == good)
            assert slip == good or refused.problem == "credentials-refused"


async def test_secrets_with_equal_hints_each_open_their_own_token(database: Database) -> None:
    bodies = ["cfl_service_Same" + base62(number, 39) for number in (1, 2)]
    one, two = (Secret(body + checksum(body)) for body in bodies)
    assert one.hint == two.hint
    async with tenant_of(database) as tenant, looking(database) as (lookup, _):
        tokens = [await tenant.issue(secret=secret) for secret in (one, two)]
        assert [await opened(lookup, PEPPERS, secret) for secret in (one, two)] == [token.id for token in tokens]


async def test_no_shown_value_leads_to_a_secret_or_its_digest(admin: Caller, owner: Connection) -> None:
    scanner = Scanner()
    issued = await admin.issue(lifetime="3d")
    path = f"/v1/tokens/{issued['token']['id']}"
    rotated = (await admin.post(f"{path}/rotate", {"grace": "1h"})).json
    for row in await owner.fetch("select digest from secret"):
        scanner.know("a digest", row["digest"])
    assert scanner.found(issued["secret"].encode() + rotated["secret"].encode()) == set()
    for each in (issued, rotated):
        scanner.know("a secret", each["secret"])
    reads = (path, f"{path}?as_of=1", f"{path}/events", "/v1/tokens?limit=200", "/v1/alerts")
    assert [read for read in reads if scanner.found((await admin.get(read)).body)] == []
