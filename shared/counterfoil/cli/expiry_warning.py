"""The warning on stderr that the caller's own token ends soon."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Final

from counterfoil.cli.display import span, time_of
from counterfoil.cli.errors import remark, wants_json, warn
from counterfoil.cli.output import json_of
from counterfoil.client import TokenExpiry

SILENCE: Final = "COUNTERFOIL_NO_EXPIRY_WARNING"
"""The environment variable that switches the warning off, with any value."""


class ExpiryWarning:
    """Prints the warning once, however many calls a command makes."""

    def __init__(self) -> None:
        self._shown = False

    def show(self, expiry: TokenExpiry | None) -> None:
        """Print the warning, if the token ends soon and the warning was not printed yet."""
        if expiry is None or not expiry.is_near or self._shown or os.environ.get(SILENCE):
            return
        self._shown = True
        if wants_json():
            remark(json_of({"warning": _document(expiry)}))
        else:
            warn(_message(expiry))


def _message(expiry: TokenExpiry) -> str:
    when = f"{span(expiry.at - datetime.now(UTC))} ({time_of(expiry.at)})"
    if expiry.is_replaced:
        return f"your secret of token {expiry.number} was replaced and ends in {when}; use the new one"
    # A token never renews itself.
    renewal = f"renew it with other credentials: counterfoil token renew {expiry.number}"
    return f"your token {expiry.number} expires in {when}; {renewal}"


def _document(expiry: TokenExpiry) -> dict[str, object]:
    kind = "secret-replaced" if expiry.is_replaced else "token-expires"
    return {"type": kind, "title": _message(expiry), "token": expiry.number, "expires_at": expiry.at}
