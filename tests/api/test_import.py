"""Import: holders keep their secrets, nothing is duplicated, and no right is gained."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aiohttp import ClientSession

from api.imported_tokens import active, digest, imported, item, one, plain, why
from api.proxy import Asked, bearer
from api.service import Caller, basic
from counterfoil.core import imported_secrets
from counterfoil.core.secret import Peppers
from counterfoil.door import queue
from counterfoil.settings import Settings
from counterfoil_dev.postgres import Database, Postgres


@pytest.mark.parametrize("by", ["value", "sha256", "sha512"])
async def test_an_imported_secret_works_like_any_secret(
    admin: Caller, session: ClientSession, proxy: Asked, by: str
) -> None:
    text = plain()
    token = await one(admin, **({"secret": text} if by == "value" else {"digest": digest(text, by)}))
    assert await active(admin, text)
    itself = admin.with_token(text)
    assert (await itself.get("/v1/tokens/self")).json["id"] == token
    assert (await Caller(session, basic("", text)).get("/v1/tokens/self")).json["id"] == token
    bought = await itself.post("/v1/exchange", {"scopes": ["invoices.read"]})
    assert bought.status == 200
    assert await active(admin, bought.json["access_token"])
    passed = await proxy.about(bearer(text))
    assert passed.status == 200
    await admin.post(f"/v1/tokens/{token}/revoke", {"reason": "over"})
    assert not await active(admin, text)
    assert (await itself.get("/v1/tokens/self")).problem == "token-revoked"
    assert (await itself.post("/v1/exchange", {})).problem == "token-revoked"


@pytest.mark.parametrize("how", ["by its holder", "by an administrator", "as leaked"])
async def test_an_imported_token_is_revoked_by_its_secret(admin: Caller, session: ClientSession, how: str) -> None:
    text = plain()
    await one(admin, digest=digest(text))
    match how:
        case "by its holder":
            await admin.with_token(text).form("/v1/oauth/revoke", token=text)
        case "by an administrator":
            await admin.form("/v1/oauth/revoke", token=text)
        case _:
            await Caller(session, "").post("/v1/leak-reports", [text])
    assert (await admin.with_token(text).get("/v1/tokens/self")).problem == "token-revoked"


@pytest.mark.parametrize(
    "text",
    [
        "SG." + secrets.token_urlsafe(16) + "." + secrets.token_urlsafe(32), "aB3$xY9!kL2#mN5&pQ7*",
        secrets.token_hex(16), "glpat-" + secrets.token_urlsafe(20), "sk:" + secrets.token_urlsafe(30) + "==;",
    ],
    ids=["two dots", "signs", "hexadecimal", "prefix", "colon"],
)  # fmt: skip
async def test_a_secret_may_be_any_visible_text(admin: Caller, session: ClientSession, text: str) -> None:
    token = await one(admin, digest=digest(text))
    for header in (f"Bearer {text}", basic("", text), basic(token, text)):
        assert (await Caller(session, header).get("/v1/tokens/self")).json["id"] == token


async def test_the_log_contains_the_import_and_at_most_the_beginning_of_the_secret(admin: Caller) -> None:
    text, short = plain(), "aB3$xY9!" + secrets.token_hex(5)
    created = []
    for fields in (
        {"secret": text, "created_at": "2024-02-01T10:00:00Z"},
        {"secret": short},
        {"digest": digest(plain())},
    ):
        token = await one(admin, **fields)
        shown = (await admin.get(f"/v1/tokens/{token}")).json
        event = (await admin.get(f"/v1/tokens/{token}/events")).json["items"][0]
        created.append((shown["hint"], event["data"]["imported"], shown["metadata"]))
        assert text not in str(event)
    assert created == [
        ("ghp_", "sha256", {"created_at": "2024-02-01T10:00:00+00:00"}),
        ("imported", "sha256", {}), ("imported", "sha256", {}),
    ]  # fmt: skip


async def test_a_lifetime_counts_from_the_original_creation(admin: Caller) -> None:
    made = datetime.now(UTC) - timedelta(days=30)
    token = await one(admin, secret=plain(), created_at=made.isoformat(), lifetime="90d")
    shown = (await admin.get(f"/v1/tokens/{token}")).json
    assert shown["lifetime"] == "90d"
    assert datetime.fromisoformat(shown["expires_at"]) == made + timedelta(days=90)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_expired_token_is_refused_also_by_a_dry_run(admin: Caller, dry_run: bool) -> None:
    text = plain()
    dead = item(secret=text, created_at="2024-02-01", lifetime="90d")
    past = item(secret=plain(), expires_at="2024-05-01")
    answer = (await admin.post("/v1/tokens/import", {"tokens": [dead, past], "dry_run": dry_run})).json
    assert [why(each) for each in answer["results"]] == ["bad-expiry"] * 2
    assert "expired on 2024-05-01, 90d after it was made" in answer["results"][0]["problem"]["detail"]
    assert not await active(admin, text)


async def test_a_repeat_finishes_even_if_a_token_has_expired_meanwhile(admin: Caller) -> None:
    made = datetime.now(UTC) - timedelta(days=90, seconds=-3)
    brief = item(secret=plain(), created_at=made.isoformat(), lifetime="90d")
    assert (await imported(admin, brief))[0]["status"] == "imported"
    await asyncio.sleep(3.2)
    assert (await imported(admin, brief))[0]["status"] == "already"


async def test_rotating_gives_our_own_secret_and_a_grace_for_the_old_one(admin: Caller) -> None:
    text = plain()
    token = await one(admin, secret=text)
    rotated = (await admin.post(f"/v1/tokens/{token}/rotate", {"grace": "1h"})).json
    assert rotated["secret"].startswith("cfl_service_")
    assert await active(admin, text)
    assert await active(admin, rotated["secret"])
    await admin.post(f"/v1/tokens/{token}/rotate", {"grace": "0s"})
    assert (await admin.with_token(text).get("/v1/tokens/self")).problem == "secret-retired"


async def test_repeating_an_import_finishes_it_and_duplicates_nothing(admin: Caller) -> None:
    items = [item(secret=plain(), name=f"moved-{n}", lifetime="30d") for n in range(20)]
    first = await imported(admin, *items[:12])
    again = await imported(admin, *items)
    assert [result["status"] for result in again] == ["already"] * 12 + ["imported"] * 8
    assert [result["token"] for result in again[:12]] == [result["token"] for result in first]
    by_digest = [{**each, "digest": digest(each["secret"])} for each in items]
    for each in by_digest:
        del each["secret"]
    assert {result["status"] for result in await imported(admin, *by_digest)} == {"already"}


@asynccontextmanager
async def held(database: Database, statement: str, *arguments: object) -> AsyncIterator[None]:
    """A lock that a statement needs, held for longer than the door waits."""
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("begin")
        await owner.execute(statement, *arguments)
        yield
    finally:
        await owner.close()


async def test_a_failure_of_the_database_is_the_answer_of_the_whole_call(
    admin: Caller, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 1.0)
    items = [item(secret=plain()) for _ in range(3)]
    async with held(postgres_server.database("api"), "lock table event in access exclusive mode"):
        answer = await admin.post("/v1/tokens/import", {"tokens": items})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.problem in {"busy", "overloaded"}
    assert {each["status"] for each in await imported(admin, *items)} == {"imported"}


async def test_an_interrupted_import_has_an_unknown_outcome_and_is_finished_by_a_repeat(
    admin: Caller, postgres_server: Postgres, api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 1.0)
    items = [item(secret=plain()) for _ in range(queue.BATCH_LIMIT + 20)]
    last = Peppers(api_settings.peppers).minted(imported_secrets.by_value(items[-1]["secret"])).digest
    taken = "insert into secret values ($1, gen_random_uuid(), gen_random_uuid(), 1, 1, 'sha256')"
    async with held(postgres_server.database("api"), taken, last):
        answer = await admin.post("/v1/tokens/import", {"tokens": items})
    assert (answer.status, answer.problem) == (503, "outcome-unknown")
    assert "repeat the call" in answer.json["detail"]
    again = [each["status"] for each in await imported(admin, *items)]
    assert (set(again[: queue.BATCH_LIMIT]), again[-1]) == ({"already"}, "imported")
    assert {each["status"] for each in await imported(admin, *items)} == {"already"}


async def test_a_secret_belongs_to_one_token_even_if_another_account_imports_it(
    admin: Caller, stranger: Caller
) -> None:
    text = plain()
    token = await one(admin, secret=text)
    (ours,) = await imported(admin, item(secret=text, name="another"))
    assert (why(ours), ours["problem"]["token"]) == ("secret-taken", token)
    for fields in ({"secret": text}, {"digest": digest(text)}):
        (theirs,) = await imported(stranger, item(**fields))
        assert why(theirs) == "secret-taken"
        assert set(theirs["problem"]) == {"type", "title", "status", "detail"}
        assert token not in str(theirs)
    assert not await active(stranger, text)


async def test_a_secret_that_was_used_is_not_imported_by_its_other_digest(admin: Caller) -> None:
    text = plain()
    await one(admin, digest=digest(text, "sha512"))
    (again,) = await imported(admin, item(secret=text, name="another"))
    assert why(again) == "secret-taken"


async def test_an_unused_secret_belongs_to_its_first_importer(admin: Caller, stranger: Caller) -> None:
    for first, second in (("sha512", "sha256"), ("sha256", "sha512")):
        text = plain()
        token = await one(admin, digest=digest(text, first))
        await one(stranger, digest=digest(text, second))
        holder = admin.with_token(text)
        assert (await holder.get("/v1/tokens/self")).json["id"] == token
        bought = (await holder.post("/v1/exchange", {})).json["access_token"]
        assert (await admin.with_token(bought).get("/v1/tokens/self")).json["id"] == token
        assert (await active(admin, text), await active(stranger, text)) == (True, False)


async def test_duplicates_in_one_call_and_in_many_at_once_make_one_token(admin: Caller) -> None:
    text = plain()
    twins = await imported(admin, *(item(secret=text) for _ in range(5)))
    assert sorted(each["status"] for each in twins) == ["already"] * 4 + ["imported"]
    others = [plain() for _ in range(10)]
    calls = (imported(admin, *(item(secret=each, name=f"n{n}") for each in others)) for n in range(6))
    for results in zip(*await asyncio.gather(*calls), strict=True):
        assert sorted(each["status"] for each in results) == ["imported"] + ["refused"] * 5
    assert {(await admin.with_token(each).get("/v1/tokens/self")).status for each in others} == {200}


async def test_an_invalid_item_does_not_affect_others_and_names_the_reason(admin: Caller) -> None:
    good = plain()
    results = await imported(
        admin,
        item(secret="short"), item(secret="a" * 40), item(secret="cfl_service_" + "x" * 49), item(), item(secret=good),
        item(secret=plain(), digest=digest(good)), item(digest={"algorithm": "sha256", "value": "zz"}),
        item(secret=plain(), scopes=["*"]), item(secret=plain(), name=""), item(secret=plain(), lifetime="soon"),
        item(secret=plain(), metadata={"bad key!": "x"}), item(secret=plain(), owner={"type": "user", "id": "a b"}),
    )  # fmt: skip
    assert [why(each) if each["status"] == "refused" else each["status"] for each in results] == [
        "weak-secret", "weak-secret", "bad-secret", "bad-secret", "imported", "bad-secret", "bad-secret", "bad-scope",
        "bad-text", "bad-duration", "bad-metadata", "unknown-user",
    ]  # fmt: skip
    assert await active(admin, good)


async def test_a_caller_imports_no_more_than_they_hold(admin: Caller) -> None:
    importer = await admin.holder("tokens.import", "invoices.*", lifetime="30d", owner={"type": "service", "id": "x"})
    results = await imported(
        importer,
        item(secret=plain(), lifetime="1d"),
        item(secret=plain(), lifetime="1d", scopes=["payments.read"]),
        item(secret=plain()),
    )
    assert [each["status"] for each in results] == ["imported", "refused", "refused"]
    assert [why(each) for each in results[1:]] == ["beyond-caller"] * 2
    plain_issuer = await admin.holder("tokens.create", "invoices.*")
    assert (await plain_issuer.post("/v1/tokens/import", {"tokens": [item(secret=plain())]})).problem == "scope-missing"


async def test_a_dry_run_gives_the_same_answer_and_changes_nothing(admin: Caller) -> None:
    there, fresh, weak = plain(), plain(), "a" * 40
    await one(admin, secret=there)
    items = [item(secret=each) for each in (there, fresh, weak, fresh)] + [item(secret=plain(), scopes=["*"])]
    results = await imported(admin, *items, dry_run=True)
    assert [each["status"] for each in results] == ["already", "imported", "refused", "refused", "refused"]
    assert "token" not in results[1]
    assert not await active(admin, fresh)
    assert [each["status"] for each in (await imported(admin, item(secret=fresh)))] == ["imported"]


async def test_a_secret_of_ours_with_a_wrong_checksum_stays_malformed(admin: Caller) -> None:
    await one(admin, secret=plain())
    slip = (await admin.issue())["secret"][:-1] + "!"
    for text in (slip, "short", "eyJa.b.c"):
        assert (await admin.with_token(text).get("/v1/tokens")).problem == "credentials-refused"


async def test_a_digest_may_be_written_in_base64(admin: Caller) -> None:
    text = plain()
    spelt = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    await one(admin, digest={"algorithm": "sha256", "value": spelt})
    assert await active(admin, text)
