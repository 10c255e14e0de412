"""`counterfoil dialects`: the vendors' APIs that the service speaks."""

from __future__ import annotations

from counterfoil.client import Client

from .asking import ask
from .options import AsJson, Credentials
from .output import say_json
from .tables import table


def dialects(*, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Show which vendors' APIs are on, and the address that each vendor's client is given."""
    found = ask(Client.dialects, credentials=credentials, as_json=as_json)
    if as_json:
        for each in found:
            say_json(each)
        return
    table(
        ("name", "on", "base URL", "OpenAPI", "title"),
        ((each.name, "yes" if each.on else "no", each.base_url, each.openapi, each.title) for each in found),
    )
