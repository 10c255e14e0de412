"""`counterfoil` shows which vendors' APIs are enabled."""

import json

import pytest

from cli.shell import Shell
from counterfoil.client import Client
from counterfoil.client.documents import Dialect
from counterfoil_api.dialects import listing
from dialects.invented_dialect import PRETEND


async def test_the_command_shows_the_addresses_for_vendors_clients(
    shell: Shell, ledger: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "DIALECTS", (PRETEND,))
    (dialect,) = await ledger.dialects()
    (document,) = [json.loads(line) for line in (await shell("dialects", "--json")).out.splitlines()]
    assert Dialect(**document) == dialect
    result = await shell("dialects")
    assert (result.code, result.err) == (0, "")
    assert result.out.split("\t") == ["pretend", "no", dialect.base_url, dialect.openapi, "Pretend\n"]
