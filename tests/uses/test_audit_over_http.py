"""An audit over HTTP finds nothing in an honest account and reports every document that contradicts the log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from api.service import Caller, founded, served, settings_for
from counterfoil.client import Client, Forbidden
from counterfoil.core.chain import Finding
from counterfoil.uses.audit.expected_documents import PROBLEMS
from counterfoil.uses.audit.over_http import PAUSES_SECONDS, replay
from counterfoil.uses.audit.progress import Tally
from counterfoil_api.application import make_app
from counterfoil_api.http.problems import kind_of
from counterfoil_dev.postgres import OWNER, Database, Postgres
from postgres.sealing import seal_all
from uses.audited_account import Account, busy
from uses.falsified_answers import Lie, doctored, of_list, of_log

READS = ("audit.read", "tokens.read", "users.read", "account.read", "scopes.read")
Audit = Callable[..., Awaitable[tuple[list[Finding], Tally]]]


@pytest_asyncio.fixture(scope="module")
async def database(postgres_server: Postgres, template: str) -> AsyncIterator[Database]:
    """One database for all these tests, which restore the account."""
    postgres_server.run(f"create database audited owner {OWNER} template {template};")
    yield postgres_server.database("audited")
    postgres_server.run("drop database if exists audited with (force);")


@pytest_asyncio.fixture(scope="module")
async def url(database: Database) -> AsyncIterator[str]:
    async with served(make_app(settings_for(database.app_url)), sealed=database.app_url) as address:
        yield address


@pytest_asyncio.fixture(scope="module")
async def session(url: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(url) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module")
async def account(session: ClientSession, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Account:
    credentials = await founded(settings_for(database.app_url), "ours", tmp_path_factory.mktemp("ours"))
    return await busy(session, credentials, database)


@pytest.fixture
def audit(account: Account, url: str) -> Audit:
    """Audit the account with a token of these scopes, through a falsifying proxy if there is a falsification."""

    async def carry_out(
        lie: Lie | None = None, *scopes: str, pauses: Sequence[float] = (0.1,)
    ) -> tuple[list[Finding], Tally]:
        holder = await account.admin.holder(*(scopes or ("all",)), name="the auditor's")
        await seal_all(account.database.app_url)
        async with _between(url, lie) as address:
            return await audited(address, holder, pauses)

    return carry_out


@asynccontextmanager
async def _between(url: str, lie: Lie | None) -> AsyncIterator[str]:
    if lie is None:
        yield url
    else:
        async with doctored(url, lie) as between:
            yield between


async def audited(url: str, holder: Caller, pauses: Sequence[float]) -> tuple[list[Finding], Tally]:
    tally = Tally(lambda _done, _total: None)
    async with Client(url, holder.credentials.removeprefix("Bearer ")) as ledger:
        findings = [finding async for finding in replay(ledger, tally, pauses=pauses)]
    assert tally.findings == len(findings)
    return findings, tally


def told(findings: list[Finding]) -> list[tuple[str, str, str | None]]:
    return sorted((finding.kind, finding.what, finding.field or "") for finding in findings)


async def test_an_honest_account_has_no_findings(account: Account, audit: Audit) -> None:
    assert account.users
    findings, tally = await audit()
    assert findings == []
    assert set(tally.not_compared) <= {"access"}
    assert tally.events >= 50
    assert tally.documents >= 25
    assert tally.subjects >= tally.documents


async def test_an_auditor_needs_only_read_scopes(account: Account, audit: Audit) -> None:
    assert account.users
    await audit()  # from now on the log contains this read
    findings, tally = await audit(None, *READS)
    assert findings == []
    assert tally.not_compared == {
        "access": "the API shows no state of it",
        "bulk_revocation": "needs the scope tokens.revoke",
    }


async def test_skipped_comparisons_are_reported(account: Account, audit: Audit) -> None:
    assert account.users
    findings, tally = await audit(None, "audit.read")
    assert findings == []
    assert tally.documents == 0
    assert {kind for kind, reason in tally.not_compared.items() if "scope" in reason} == {
        "account", "bulk_revocation", "scope", "scope_set", "token", "user",
    }  # fmt: skip


async def test_an_audit_needs_the_right_to_read_the_log(audit: Audit) -> None:
    with pytest.raises(Forbidden, match=r"audit\.read"):
        await audit(None, *READS[1:])


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("update token set name = 'other' where token_id = $1", [("token", "document-differs", "name")]),
        ("update token set scopes = '[\"all\"]' where token_id = $1",
         [("token", "document-differs", "effective_scopes"), ("token", "document-differs", "scopes")]),
        ("update token set status = 'revoked' where token_id = $1",
         [("token", "document-differs", field) for field in ("previous_secret_until", "refused", "status")]),
        ("update token set expires_at = null where token_id = $1", [("token", "document-differs", "expires_at")]),
        ("update token set owner_id = 'somebody' where token_id = $1", [("token", "document-differs", "owner.id")]),
        ("delete from token where token_id = $1", [("token", "events-without-document", "")]),
        ("update event set entry = entry || ' ' where subject_id = $1 and version = 3",
         [("token", "entry-not-canonical", ""), ("token", "prev-broken", "")]),
        ("update event set entry = replace(entry, 'mail.send', 'mail.read') where subject_id = $1 and version = 1",
         [("token", "document-differs", "effective_scopes"), ("token", "document-differs", "scopes"),
          ("token", "prev-broken", "")]),
        ("""update event set private = '{"name":"other"}' where subject_id = $1 and version = 2""",
         [("token", "commitment-broken", ""), ("token", "document-differs", "name")]),
        ("update event set private = null, salt = null where subject_id = $1 and version = 2",
         [("token", "private-part-missing", "")]),
        ("update event set entry = '{}' where subject_id = $1 and version = 3",  # the exchange
         [("account", "entry-unreadable", ""), ("token", "document-differs", "last_exchanged_at"),
          ("token", "version-gap", "")]),
    ],
)  # fmt: skip
async def test_changes_outside_the_log_are_reported(
    account: Account, audit: Audit, statement: str, expected: list[tuple[str, str, str]]
) -> None:
    async with account.tampered(statement, account.nightly["token"]["id"]):
        findings, _ = await audit()
    assert told(findings) == expected


@pytest.mark.parametrize(
    ("statement", "field"),
    [
        ("update subject set name = 'thief@ours.example.org' where subject_id = $1", "email"),
        ("update subject set details = replace(details, 'operator', 'administrator') where subject_id = $1", "role"),
        ("update subject set status = 'disabled' where subject_id = $1", "status"),
        ("update subject set revision = 1 where subject_id = $1", "revision"),
    ],
)
async def test_a_user_changed_outside_the_log_is_reported(
    account: Account, audit: Audit, statement: str, field: str
) -> None:
    async with account.tampered(statement, account.users["active"]):
        findings, _ = await audit()
    assert ("user", "document-differs", field) in told(findings)
    assert {finding.kind for finding in findings} <= {"user", "token"}  # tokens depend on what their owner may do
    assert {finding.field for finding in findings if finding.kind == "token"} <= {"effective_scopes", "refused"}


async def test_a_missing_position_is_reported(account: Account, audit: Audit) -> None:
    nightly = account.nightly["token"]["id"]
    async with account.tampered("delete from sealed where subject_id = $1 and version = 2", nightly):
        findings, _ = await audit()
    (gap, *_) = findings
    assert gap.what == "position-gap"
    assert ("version-gap", 3) in [(each.what, each.version) for each in findings]


def _without(name: str) -> Lie:
    return of_list("/v1/tokens", lambda items: [each for each in items if each["name"] != name])


def _invented(items: list[Any]) -> list[Any]:
    return [*items, {**items[0], "id": "019b0000-0000-7000-8000-000000000bad", "name": "invented"}]


def _scope(**changes: object) -> Lie:
    return of_list(
        "/v1/scopes", lambda items: [{**each, **changes} if each["scope"] == "mail.send" else each for each in items]
    )


@pytest.mark.parametrize(
    ("lie", "expected"),
    [
        (_without("weekly"), [("token", "events-without-document", "")]),
        (of_list("/v1/tokens", _invented), [("token", "document-without-events", "")]),
        (of_list("/v1/tokens", lambda items: [{**each, "refused": None} for each in items]),
         [("token", "document-differs", "refused")] * 8),
        (of_list("/v1/users", lambda items: items[1:]), [("user", "events-without-document", "")]),
        (_scope(sentence="Harmless."), [("scope", "document-differs", "sentence")]),
        (of_list("/v1/scope-sets", lambda items: [each for each in items if each["built_in"]]),
         [("scope_set", "events-without-document", "")]),
        (of_list("/v1/scope-sets", lambda items: [*items, {**items[-1], "name": "forgotten"}]),
         [("scope_set", "document-differs", field) for field in ("revision", "status")]),
        (of_list("/v1/revocations", lambda items: [{**items[0], "reason": "none"}, *items[1:]]),
         [("bulk_revocation", "document-differs", "reason")]),
        (lambda path, answered: {**answered, "name": "theirs"} if path == "/v1/account" else answered,
         [("account", "document-differs", "name")]),
    ],
)  # fmt: skip
async def test_a_document_that_contradicts_the_log_is_reported(
    account: Account, audit: Audit, lie: Lie, expected: list[tuple[str, str, str]]
) -> None:
    assert account.users
    findings, _ = await audit(lie)
    assert told(findings) == expected


def _line(edit: Callable[[Any], Any], position: int = 12) -> Lie:
    return of_log(lambda items: [edit(each) if each["position"] == position else each for each in items])


@pytest.mark.parametrize(
    ("lie", "first"),
    [
        (of_log(lambda items: items[:11] + items[12:]), ("position-gap", 13)),
        (of_log(lambda items: [*items[:11], items[12], items[11], *items[13:]] if len(items) > 20 else items),
         ("position-gap", 13)),
        (of_log(lambda items: items[:12] + items[11:]), ("position-repeated", 12)),
        (of_log(lambda items: items[:-1]), ("position-gap", None)),
        (_line(lambda line: {**line, "entry": line["entry"].replace('"v":0', '"v":1')}), ("entry-unreadable", 12)),
        (_line(lambda line: {**line, "entry": f"{line['entry']}\n"}), ("entry-not-canonical", 12)),
        (_line(lambda line: {"at": line["position"]}), ("line-unreadable", 12)),
    ],
)  # fmt: skip
async def test_a_falsified_log_is_reported(
    account: Account, audit: Audit, lie: Lie, first: tuple[str, int | None]
) -> None:
    assert account.users
    findings, _ = await audit(lie)
    assert findings[0].what == first[0]
    assert first[1] in (findings[0].position, None)


async def test_an_entry_of_another_account_is_reported(
    account: Account, session: ClientSession, audit: Audit, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = await founded(settings_for(account.database.app_url), "theirs", tmp_path / "theirs")
    await seal_all(account.database.app_url)
    stranger = Caller(session, f"Bearer {theirs['admin_token']}")
    smuggled = (await stranger.get("/v1/events", limit=1)).json["items"][0]
    findings, _ = await audit(_line(lambda line: {**smuggled, "position": line["position"]}))
    assert ("entry-of-another-account", 12) in [(each.what, each.position) for each in findings]


async def test_reading_a_log_without_progress_stops(account: Account, audit: Audit) -> None:
    assert account.users

    def lie(path: str, answered: Any) -> Any:
        return {**answered, "items": [], "after": 0} if path == "/v1/events" else answered

    findings, tally = await audit(lie)
    assert findings[0].what == "position-gap"
    assert tally.events == 0


async def test_changes_during_the_audit_are_no_findings(account: Account, audit: Audit) -> None:
    owner = {"type": "user", "id": account.users["active"]}
    moving = [await account.admin.issue(name=f"moving-{n}", owner=owner, scopes=["mail.send"]) for n in range(6)]
    ended = asyncio.Event()

    async def move(token: Any) -> None:
        n, path = 0, f"/v1/tokens/{token['token']['id']}"
        while not ended.is_set():
            n += 1
            await account.admin.patch(path, {"name": f"moving {n}", "scopes": ["mail.send", "mail.read"][: n % 2 + 1]})
            await account.admin.post(f"{path}/suspend" if n % 2 else f"{path}/resume", {})

    async def disable() -> None:
        n = 0
        while not ended.is_set():
            n += 1
            await account.admin.post(f"/v1/users/{owner['id']}/{'disable' if n % 2 else 'enable'}", {"reason": "so"})
            await account.admin.put("/v1/scopes/mail.read", {"sentence": f"Read mail, {n}."})
            await account.admin.issue(name=f"new-{n}")

    writers = [asyncio.create_task(each) for each in (*map(move, moving), disable())]
    try:
        for _ in range(3):
            findings, tally = await audit(pauses=PAUSES_SECONDS)
            assert findings == []
            assert tally.events > 0
    finally:
        ended.set()
        await asyncio.gather(*writers)


async def test_every_problem_has_the_same_name_as_in_the_api() -> None:
    assert {kind: kind_of(kind()).name for kind in PROBLEMS} == dict(PROBLEMS)
