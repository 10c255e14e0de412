"""`--creator`, `--with-children` and `--dry-run`: tokens of a creator are listed and revoked with it on request."""

import json
from typing import Any

import pytest

from cli.shell import Shell


async def issued(shell: Shell, *words: str, by: str = "") -> tuple[dict[str, Any], str]:
    more = {"COUNTERFOIL_TOKEN": by} if by else {}
    result = await shell("token", "create", *words, "--json", **more)  # type: ignore[arg-type] # no other name is in it
    assert result.code == 0, result.err
    document = json.loads(result.out)
    return document["token"], document["secret"]


async def line_of(shell: Shell) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A token that may create tokens, its child, and the child of that."""
    minter, secret = await issued(shell, "minter", "--scope", "tokens.create")
    child, of_child = await issued(shell, "child", "--scope", "tokens.create", by=secret)
    grandchild, _ = await issued(shell, "grandchild", by=of_child)
    return minter, child, grandchild


async def test_revoking_a_token_names_the_commands_for_its_children(shell: Shell) -> None:
    minter, child, grandchild = await line_of(shell)
    ref = str(minter["number"])
    ended = await shell("token", "revoke", ref, "--reason", "leaked")
    assert f"1 tokens that it made live on; see them with: counterfoil token list --creator token:{ref};" in ended.err
    looked = await shell("token", "revoke", ref, "--reason", "leaked", "--with-children", "--dry-run")
    assert "Nothing was changed. 2 tokens that it made, at any depth, would end with it." in looked.err
    for token in (child, grandchild):
        assert f"{token['number']}\t{token['name']}\t" in looked.out
    done = await shell("token", "revoke", ref, "--reason", "leaked", "--with-children")
    assert "2 tokens that it made, at any depth, are being revoked; watch it with:" in done.err
    as_json = await shell("token", "revoke", ref, "--reason", "leaked", "--with-children", "--json")
    children = json.loads(as_json.out)["children"]
    assert (children["ending"], as_json.err) == (2, "")
    assert (await shell("token", "revocations", "cancel", children["revocation"])).code == 0


async def test_removing_a_user_names_the_commands_for_their_children(shell: Shell) -> None:
    added = await shell("user", "create", "ada@example.org", "--role", "operator", "--json")
    number = str(json.loads(added.out)["user"]["number"])
    login, secret = await issued(shell, "login", "--owner", f"user:{number}", "--scope", "own.read")
    looked = await shell("user", "remove", number, "--reason", "left", "--with-children", "--dry-run")
    assert "1 tokens that it made, at any depth, would end with it" in looked.err
    assert f"{login['number']}\tlogin\t" in looked.out
    removed = await shell("user", "remove", number, "--reason", "left", "--with-children")
    assert (removed.code, "1 tokens that it made, at any depth, are being revoked" in removed.err) == (0, True)
    assert secret not in removed.out + removed.err


@pytest.mark.parametrize("which", [("--name", "minter"), ("--creator", "token:self")])
async def test_a_plan_can_include_children(shell: Shell, which: tuple[str, str]) -> None:
    words = (*which, "--with-children")
    await line_of(shell)
    looked = await shell("token", "revoke-many", *words, "--json")
    assert (json.loads(looked.out)["tokens"] >= 3, json.loads(looked.out)["left_alone"]) == (True, 0)
    plan = json.loads(looked.out)["plan"]
    done = await shell(
        "token", "revoke-many", *words, "--execute", "--plan", plan, "--reason", "x", "--no-wait", "--json"
    )
    assert (done.code, json.loads(done.out)["with_children"]) == (0, True)
