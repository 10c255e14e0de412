"""`counterfoil dialects`: the vendors' APIs that the service implements."""

from __future__ import annotations

from typing import Final

from counterfoil.cli.ledger import Ledger
from counterfoil.cli.tables import Columns, show_list
from counterfoil.client import Client
from counterfoil.client.documents import Dialect

_DIALECTS: Final[Columns[Dialect]] = {
    "name": lambda dialect: dialect.name,
    "on": lambda dialect: "yes" if dialect.on else "no",
    "base URL": lambda dialect: dialect.base_url,
    "OpenAPI": lambda dialect: dialect.openapi,
    "title": lambda dialect: dialect.title,
}


def dialects(*, ledger: Ledger) -> None:
    """Show which vendors' APIs are on, and the address for each vendor's client."""
    show_list(ledger.ask(Client.dialects), _DIALECTS, as_json=ledger.as_json)
