"""`counterfoil audit replay --http`: an audit with only a token, without access to the database."""

import json

from cli.shell import Shell
from client.running import Service
from postgres.sealing import seal_all

READS = ("audit.read", "tokens.read", "users.read", "account.read", "scopes.read")


async def _auditor(shell: Shell, *scopes: str) -> str:
    words = [word for scope in scopes for word in ("--scope", scope)]
    made = await shell("token", "create", "the auditor's", *words, "--lifetime", "1h", "--quiet")
    assert made.code == 0, made.err
    return made.out.strip()


async def test_an_auditor_without_database_access_confirms_an_honest_ledger(shell: Shell, service: Service) -> None:
    requested = await _auditor(shell, *READS)
    await seal_all(service.database.app_url)
    result = await shell("audit", "replay", "--http", COUNTERFOIL_TOKEN=requested)
    assert (result.code, result.err) == (0, "")
    summary, *skipped = result.out.splitlines()
    assert "documents is what its events say" in summary
    assert "not compared: bulk_revocation (needs the scope tokens.revoke)" in skipped
    as_json = await shell("audit", "replay", "--http", "--json", COUNTERFOIL_TOKEN=requested)
    (line,) = as_json.out.splitlines()
    reported = json.loads(line)["summary"]
    assert (reported["findings"], reported["not_compared"]["bulk_revocation"]) == (0, "needs the scope tokens.revoke")
    assert reported["documents"] >= 4


async def test_without_the_http_option_the_database_is_audited(shell: Shell, service: Service) -> None:
    assert service.url
    result = await shell("audit", "replay")
    assert result.code == 2
    assert "DATABASE_URL" in result.err


async def test_a_credentials_file_selects_http(shell: Shell, service: Service) -> None:
    await seal_all(service.database.app_url)
    result = await shell("audit", "replay", "--credentials", str(service.credentials))
    assert result.code == 0, result.err
    assert "documents is what its events say" in result.out


async def test_a_token_without_the_right_to_read_the_log_is_refused(shell: Shell) -> None:
    result = await shell("audit", "replay", "--http", COUNTERFOIL_TOKEN=await _auditor(shell, "tokens.read"))
    assert result.code == 1
    assert "audit.read" in result.err


async def test_a_document_that_contradicts_its_event_ends_with_1(shell: Shell) -> None:
    requested = await _auditor(shell, *READS)
    # Nothing is sealed yet: every document is read before its events.
    result = await shell("audit", "replay", "--http", "--json", COUNTERFOIL_TOKEN=requested)
    assert result.code == 1
    *found, _ = map(json.loads, result.out.splitlines())
    assert {each["what"] for each in found} == {"document-without-events"}
