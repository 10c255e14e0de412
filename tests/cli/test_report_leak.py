"""`counterfoil report-leak`: report secrets without a login."""

import json
from dataclasses import replace
from pathlib import Path

from cli.shell import Shell
from counterfoil.core.secret import mint


async def test_a_finder_revokes_leaked_secrets_without_a_login(shell: Shell, tmp_path: Path) -> None:
    issued = json.loads((await shell("token", "create", "nightly", "--json")).out)
    found = tmp_path / "found.txt"
    found.write_text(f"  {issued['secret']}\n\n{mint('user').plain}\nnonsense\n")
    nobody = replace(shell, environment={"COUNTERFOIL_URL": shell.environment["COUNTERFOIL_URL"]})
    result = await nobody("report-leak", str(found))
    assert (result.code, result.err) == (0, "")
    assert result.out == "3 reported. Tokens with these secrets are revoked; the answer does not say which exist.\n"
    shown = json.loads((await shell("token", "show", issued["token"]["id"], "--json")).out)
    assert (shown["status"], shown["reason"]) == ("revoked", "Its secret was reported as leaked.")
    again = await nobody("report-leak", str(found), "--json")
    assert json.loads(again.out) == {"received": 3}
    assert issued["secret"] not in result.out + again.out


async def test_an_empty_report_is_a_usage_error(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n \n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for words in ((str(tmp_path / "empty"),), (str(tmp_path / "bytes"),), (str(tmp_path / "absent"),), ()):
        result = await shell("report-leak", *words)
        assert result.code == 2, words


async def test_a_bearer_is_issued_for_the_stated_time(shell: Shell) -> None:
    result = await shell("token", "exchange", "--lifetime", "5m", "--json")
    assert json.loads(result.out)["expires_in"] == 300
