"""Every error message of the command line names the error, the wrong value and the remedy."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cli.shell import Shell
from cli.test_user_commands import added
from counterfoil.cli.command_line import command
from counterfoil.core import moments

NOBODY = "01a20070-9783-75f2-ab79-af3b16925535"


def every(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, group
    for name, each in getattr(group, "commands", {}).items():
        yield from every(each, (*path, name))


async def test_a_missing_subject_is_reported_with_the_list_command_of_its_kind(shell: Shell) -> None:
    for words, advice in (
        (("token", "show", "77"), "counterfoil token list"), (("user", "show", "77"), "counterfoil user list"),
        (("user", "disable", NOBODY, "--reason", "x"), "counterfoil user list"),
        (("scope", "remove", "a.b"), "counterfoil scope list"),
        (("scope-set", "remove", "x"), "counterfoil scope-set list"),
        (("token", "revocations", "watch", NOBODY), "counterfoil token revocations list"),
    ):  # fmt: skip
        result = await shell(*words)
        assert (result.code, f"`{advice}` shows what there is." in result.err) == (1, True), result.err
    stale = await shell("user", "update", "self", "--role", "auditor", "--if-match", "7")
    assert "counterfoil user show" in stale.err


async def test_a_refusal_is_shown_in_words_with_matching_advice(shell: Shell) -> None:
    ada = await added(shell, role="member")
    words = ("token", "create", "x", "--owner", f"user:{ada['number']}", "--lifetime", "1d")
    refused = await shell(*words, "--scope", "b.c", "--scope", "a.b")
    assert (refused.code, "\n  missing: b.c, a.b\n" in refused.err) == (1, True), refused.err
    brief = ("--scope", "tokens.create", "--scope", "a.b", "--owner", "user:1", "--lifetime", "1h", "--quiet")
    token = (await shell("token", "create", "brief", *brief)).out.strip()
    late = await shell("token", "create", "x", "--scope", "a.b", "--lifetime", "1d", COUNTERFOIL_TOKEN=token)
    assert (late.code, "State a shorter lifetime, such as --lifetime 1h" in late.err) == (1, True), late.err


async def test_an_invalid_kind_of_attempt_is_refused_with_the_valid_ones(shell: Shell) -> None:
    result = await shell("attempts", "--kind", "foo")
    assert (result.code, result.out) == (1, "")
    for word in ("'foo' is not a kind of attempt", "login-failed", "token-expired", "scope-missing", "secret-taken"):
        assert word in result.err


async def test_an_unreachable_service_is_reported_before_the_client_gives_up(shell: Shell) -> None:
    result = await shell("token", "list", COUNTERFOIL_URL="http://127.0.0.1:1")
    assert result.code == 3
    waiting, what, *todo = result.err.splitlines()
    trouble = "counterfoil: http://127.0.0.1:1 cannot be reached: nothing listens at 127.0.0.1 port 1"
    assert (waiting, what) == (f"{trouble}; still trying.", trouble)
    assert "COUNTERFOIL_URL" in "".join(todo)
    assert "ssl:" not in result.err


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("token", "list", "--limit", "many"), "'many' is no whole number"), (("token", "list", "--limit", "0"), "'0'"),
        (("token", "create"), "Missing argument"), (("token", "create", "x", "--colour", "red"), "--colour"),
        (("token", "create", "x", "--owner", "backup"), "write it like service:backup, application:shop or user:2."),
        (("token", "show", "1", "--as-of", "soon"), "T12:00:00Z, or like 3 for a version."),
        (("token", "create", "x", "--expires-at", "soon"), "'soon' is no moment; write it like 2027-"),
        (("token", "rotate", "1"), "--grace 24h"), (("token", "extend-grace", "1"), "--grace 24h"),
        (("token", "show", "../keys"), "'../keys' does not name a token"),
        (("token", "revocations", "watch", "12"), "'12' is not the id of a bulk revocation"),
        (("user", "change-password"), "--email"),
    ],
)  # fmt: skip
async def test_a_usage_error_is_a_document_with_json(shell: Shell, words: tuple[str, ...], wrong: str) -> None:
    result = await shell(*words)
    assert (result.code, result.out, wrong in result.err) == (2, "", True), result.err
    result = await shell(*words, "--json")
    assert (result.code, result.out) == (2, "")
    document = json.loads(result.err)
    assert (document["exit_code"], document["error"]["type"]) == (2, "usage")
    assert wrong in document["error"]["title"] + document["error"].get("detail", "")


NAIVE = "2027-03-01T12:00:00"


@pytest.mark.parametrize(
    "words",
    [
        ("token", "create", "x", "--expires-at", NAIVE), ("token", "list", "--expires-before", NAIVE),
        ("token", "show", "1", "--as-of", NAIVE), ("events", "replay", "--since", NAIVE),
        ("attempts", "--since", NAIVE),
    ],
)  # fmt: skip
async def test_a_time_without_a_zone_is_refused_as_by_the_api(shell: Shell, words: tuple[str, ...]) -> None:
    result = await shell(*words, "--json")
    assert (result.code, result.out) == (2, "")
    error = json.loads(result.err)["error"]
    assert str(moments.zoneless(NAIVE)) in error["title"] + error.get("detail", "")


async def test_help_texts_name_no_types_of_a_programming_language(shell: Shell) -> None:
    for words in (("token", "create"), ("login",), ("token", "revoke-many"), ()):
        result = await shell(*words, "--help")
        assert result.code == 0
        assert not re.search(r"<\w+(\[\w+\])?>", result.out.replace("<str>", "")), result.out
    for _, each in every(command()):
        for option in each.get_params(typer.Context(each)):
            if option.param_type_name == "option":
                assert not str(option.metavar).startswith("<"), option.opts
