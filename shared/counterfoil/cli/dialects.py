"""`counterfoil dialects`: the vendors' APIs that the service implements."""

from __future__ import annotations

from counterfoil.cli.calls import ask
from counterfoil.cli.options import AsJson, Credentials
from counterfoil.cli.output import say_json
from counterfoil.cli.tables import table
from counterfoil.client import Client


def dialects(*, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Show which vendors' APIs are on, and the address for each vendor's client."""
    found = ask(Client.dialects, credentials=credentials, as_json=as_json)
    if as_json:
        for each in found:
            say_json(each)
        return
    table(
        ("name", "on", "base URL", "OpenAPI", "title"),
        ((each.name, "yes" if each.on else "no", each.base_url, each.openapi, each.title) for each in found),
    )
