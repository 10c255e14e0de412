"""A busy account with every kind of subject that the API shows, and every event of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from aiohttp import ClientSession

from api.imported_tokens import digest, plain
from api.service import Caller, basic
from api.user_fixtures import person
from counterfoil.core.principal import SYSTEM
from counterfoil.core.subjects.token.commands import Erase
from counterfoil.door import Door
from counterfoil.postgres.connection import open_pool
from counterfoil_dev.postgres import Database
from counterfoil_worker.bulk_revocations import BulkRevocations

_TABLES = {"event": "subject_id", "sealed": "subject_id", "token": "token_id", "subject": "subject_id"}


@dataclass(frozen=True, slots=True)
class Account:
    """The administrator and subjects of the account."""

    id: UUID
    admin: Caller
    database: Database
    nightly: Any
    users: dict[str, str]

    @asynccontextmanager
    async def tampered(self, statement: str, subject: str) -> AsyncIterator[None]:
        """Change the rows of a subject (`$1`) as the owner, bypassing every trigger; restore them later."""
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            for table, key in _TABLES.items():
                await connection.execute(f"alter table {table} disable trigger user")
                await connection.execute(f"create temp table kept_{table} as table {table} with no data")
                await connection.execute(f"insert into kept_{table} select * from {table} where {key} = $1", subject)
            done = await connection.execute(statement, subject)
            assert not done.endswith(" 0"), "nothing was tampered with"
            yield
            async with connection.transaction():
                for table, key in _TABLES.items():
                    await connection.execute(f"delete from {table} where {key} = $1", subject)
                    await connection.execute(f"insert into {table} overriding system value table kept_{table}")
        finally:
            await connection.close()


async def busy(session: ClientSession, credentials: dict[str, str], database: Database) -> Account:
    admin = await _after_all_secrets_ended(session, credentials)
    users = await _users(admin)
    nightly = await _tokens(admin, users)
    await _catalogue(admin)
    await _policy(admin)
    await _bulk(admin, database)
    await _erased(admin, database)
    return Account(UUID(credentials["account"]), admin, database, nightly, users)


async def _after_all_secrets_ended(session: ClientSession, credentials: dict[str, str]) -> Caller:
    token = Caller(session, f"Bearer {credentials['admin_token']}")
    itself = (await token.get("/v1/tokens/self")).json["id"]
    await _done(token, "/v1/account/end-secrets", reason="the vault was copied")
    person = Caller(session, basic(credentials["admin_login"], credentials["admin_password"]))
    rotated = await person.post(f"/v1/tokens/{itself}/rotate", {"grace": "0s"})
    assert rotated.status == 200, rotated.body
    return person.with_token(rotated.json["secret"])


async def _users(admin: Caller) -> dict[str, str]:
    active, disabled, removed = [await person(admin, role) for role in ("operator", "member", "auditor")]
    await disabled.enrolled()
    await admin.patch(f"/v1/users/{active.id}", {"scopes": ["mail.send"]})
    for who in (disabled, removed):
        await admin.issue(name=f"of {who.email}", owner={"type": "user", "id": who.id}, scopes=["scopes.read"])
    await _done(admin, f"/v1/users/{disabled.id}/disable", reason="on leave")
    await _done(admin, f"/v1/users/{removed.id}/remove", reason="left")
    return {"active": active.id, "disabled": disabled.id, "removed": removed.id}


async def _tokens(admin: Caller, users: dict[str, str]) -> Any:
    nightly = await admin.issue(
        name="nightly", description="what it is for", metadata={"team": "ops"}, scopes=["mail.send", "invoices.read"],
        lifetime="90d", networks=["127.0.0.0/8"], rate_limit="600/1m",
    )  # fmt: skip
    path = f"/v1/tokens/{nightly['token']['id']}"
    await admin.patch(path, {"name": "weekly", "rate_limit": None})
    assert (await admin.with_token(nightly["secret"]).post("/v1/exchange", {})).status == 200
    for verb, body in (("renew", {"lifetime": "30d"}), ("rotate", {"grace": "24h"}), ("suspend", {"reason": "leak?"}),
                       ("resume", {}), ("clone", {"name": "copy"})):  # fmt: skip
        await _done(admin, f"{path}/{verb}", **body)
    await admin.issue(name="of a user", owner={"type": "user", "id": users["active"]}, scopes=["mail.send", "own.read"])
    revoked, suspended, short = [await admin.issue(name=name) for name in ("over", "waits", "short")]
    await _done(admin, f"/v1/tokens/{revoked['token']['id']}/revoke", reason="no longer needed")
    await _done(admin, f"/v1/tokens/{suspended['token']['id']}/suspend", reason="under review")
    soon = (datetime.now(UTC) + timedelta(milliseconds=300)).isoformat()
    await _done(admin, f"/v1/tokens/{short['token']['id']}/renew", expires_at=soon)
    moved = {"name": "from elsewhere", "owner": {"type": "service", "id": "ci"}, "digest": digest(plain())}
    imported = await admin.post("/v1/tokens/import", {"tokens": [moved]})
    assert imported.json["imported"] == 1, imported.body
    return nightly


async def _catalogue(admin: Caller) -> None:
    for scope in ("mail.send", "mail.read", "invoices"):
        assert (await admin.put(f"/v1/scopes/{scope}", {"sentence": f"About {scope}."})).status == 200
    await admin.put("/v1/scopes/mail.send", {"sentence": "Send mail.", "documentation": "https://docs.example/mail"})
    for name in ("post", "forgotten"):
        composed = {"scopes": ["mail.send", "mail.read"], "sentence": "All about mail."}
        assert (await admin.put(f"/v1/scope-sets/{name}", composed)).status == 200
    for path in ("/v1/scopes/invoices", "/v1/scope-sets/forgotten"):
        assert (await admin.delete(path)).status == 200


async def _policy(admin: Caller) -> None:
    policy = {"max_lifetime": "365d", "default_lifetime": "30d", "notices": ["7d", "1d"], "networks": ["127.0.0.0/8"]}
    assert (await admin.patch("/v1/account", {"name": "renamed", "policy": policy})).status == 200


async def _bulk(admin: Caller, database: Database) -> None:
    for number in range(3):
        await admin.issue(name=f"bulk-{number}")
    for name in ("bulk-0", "bulk-1"):
        wanted = {"name": name}
        plan = (await admin.post("/v1/revocations/plan", {"filter": wanted})).json["plan"]
        ordered = await admin.post("/v1/revocations", {"filter": wanted, "plan": plan, "reason": "leaked"})
        assert ordered.status == 201, ordered.body
        if name == "bulk-0":
            await _done(admin, f"/v1/revocations/{ordered.json['id']}/cancel")
    await _descended(admin)
    async with await open_pool(database.app_url, size=4) as pool, Door(database.app_url) as door:
        await BulkRevocations(pool, door).work()


async def _descended(admin: Caller) -> None:
    minter = await admin.issue(name="minter", scopes=["tokens.create"])
    child = await admin.with_token(minter["secret"]).issue(name="child", scopes=["tokens.create"], lifetime="2d")
    await admin.with_token(child["secret"]).issue(name="grandchild", lifetime="1d")
    await _done(admin, f"/v1/tokens/{minter['token']['id']}/revoke", reason="leaked", with_children=True)


async def _erased(admin: Caller, database: Database) -> None:
    token = (await admin.issue(name="Ada's laptop", metadata={"of": "Ada"}))["token"]
    account, token_id = UUID(token["account"]), UUID(token["id"])
    async with Door(database.app_url) as door:
        await door.execute(Erase(account=account, id=token_id, by=SYSTEM))
    connection = await asyncpg.connect(database.owner_url)
    try:
        await connection.execute("alter table event disable trigger user")
        await connection.execute("update event set private = null, salt = null where subject_id = $1", token_id)
        await connection.execute("alter table event enable trigger user")
    finally:
        await connection.close()


async def _done(caller: Caller, path: str, **body: object) -> None:
    answer = await caller.post(path, body)
    assert answer.status in (200, 201), (path, answer.body)
