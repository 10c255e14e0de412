"""Each command warns on stderr, once, while its own token is about to expire."""

import asyncio
import json
import re
from uuid import UUID

import pytest

from cli.shell import Shell
from cli.test_events_commands import tailing
from cli.test_token_commands import issued
from client.running import Service
from client.test_expiry import age

WARNING = re.compile(
    r"counterfoil: warning: your token (\d+) expires in 3 d \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\); "
    r"renew it with other credentials: counterfoil token renew \1\n"
)


@pytest.fixture
async def ending(shell: Shell, service: Service) -> str:
    """The secret of a token that expires in three days."""
    token, secret = await issued(shell, "nightly", "--lifetime", "90d", "--scope", "own.*", "--scope", "audit.read")
    await age(service, UUID(token["id"]), 87)
    return secret


async def test_commands_that_read_change_or_are_refused_warn_once_on_stderr_alone(shell: Shell, ending: str) -> None:
    for words, code in (
        (("whoami",), 0), (("token", "list"), 0), (("token", "create", "copy", "--lifetime", "1h", "--quiet"), 0),
        (("user", "list"), 1),
    ):  # fmt: skip
        result = await shell(*words, COUNTERFOIL_TOKEN=ending)
        assert result.code == code, result.err
        assert WARNING.match(result.err), words
        assert result.err.count("warning: your token") == 1
        assert "expires in 3 d" not in result.out
        assert ending not in result.err


async def test_with_json_the_warning_is_a_document_of_its_own(shell: Shell, ending: str) -> None:
    result = await shell("whoami", "--json", COUNTERFOIL_TOKEN=ending)
    token = json.loads(result.out)["token"]
    (warning,) = [json.loads(line)["warning"] for line in result.err.splitlines()]
    assert (warning["type"], warning["token"]) == ("token-expires", token["number"])
    assert warning["expires_at"] == token["expires_at"].partition(".")[0].removesuffix("Z") + "Z"
    assert warning["title"].startswith(f"your token {token['number']} expires in 3 d")


async def test_the_warning_can_be_switched_off(shell: Shell, ending: str) -> None:
    result = await shell("whoami", COUNTERFOIL_TOKEN=ending, COUNTERFOIL_NO_EXPIRY_WARNING="1")
    assert (result.code, result.err) == (0, "")


async def test_a_token_that_lives_on_and_completion_print_no_warning(shell: Shell, ending: str) -> None:
    assert (await shell("whoami")).err == ""
    result = await shell(
        _COUNTERFOIL_COMPLETE="complete_bash", COMP_WORDS="counterfoil token show ", COMP_CWORD="3",
        COUNTERFOIL_TOKEN=ending,
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert result.out


async def test_a_replaced_secret_is_to_be_exchanged_for_the_new_one(shell: Shell) -> None:
    token, secret = await issued(shell, "nightly", "--lifetime", "90d")
    await shell("token", "rotate", str(token["number"]), "--grace", "3h")
    result = await shell("whoami", COUNTERFOIL_TOKEN=secret)
    assert re.match(
        rf"counterfoil: warning: your secret of token {token['number']} was replaced and ends in 3 h "
        r"\(.*Z\); use the new one\n",
        result.err,
    )


@pytest.mark.usefixtures("sealer")
async def test_a_command_that_follows_the_log_warns_while_it_runs(shell: Shell, ending: str) -> None:
    own = Shell(shell.loaded, shell.directory, {**shell.environment, "COUNTERFOIL_TOKEN": ending, "COLUMNS": "220"})
    async with tailing(own, "-n", "0") as process, asyncio.timeout(60):
        assert process.stderr is not None
        assert WARNING.match((await process.stderr.readline()).decode())
