"""The ledger that a command calls, and how the command prints what the ledger replies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from counterfoil.cli import calls
from counterfoil.cli.commands import Options
from counterfoil.cli.display import Facts, show
from counterfoil.cli.errors import remark, shown_again_by, warn
from counterfoil.cli.options import AsJson, Credentials, Key, Quiet
from counterfoil.cli.output import say_json
from counterfoil.cli.tables import Columns, show_list
from counterfoil.cli.token_display import show_issued, show_token
from counterfoil.client import Client
from counterfoil.client.documents import Issued, Token

T = TypeVar("T")
_PAGE: Final = 50
"""Rows in a table without --limit."""


class Ledger(Options, frozen=True, kw_only=True):
    """The options of each command that calls the ledger."""

    credentials: Credentials = None
    as_json: AsJson = False

    def ask(self, call: Callable[[Client], Awaitable[T]]) -> T:
        """Return the reply to a call, or end the command with a message and its exit code.

        The token of a credentials file expires, so it may not create users; the password in the file may.
        """
        place = calls.place(self.credentials)
        return calls.ask_with(place.url, place.admin_token, call, otherwise=place.password)

    def show(self, call: Callable[[Client], Awaitable[T]], facts_of: Callable[[T], Facts]) -> T:
        """Print the document that the ledger replies, and return it."""
        value = self.ask(call)
        show(value, facts_of, as_json=self.as_json)
        return value

    def show_token(self, call: Callable[[Client], Awaitable[Token]]) -> Token:
        """Print the token that the ledger replies, with the warnings about it, and return it."""
        token = self.ask(call)
        show_token(token, as_json=self.as_json)
        return token

    def list(
        self, listing: Callable[[Client, int | None], AsyncIterator[T]], columns: Columns[T], limit: int | None = None
    ) -> None:
        """Print a list: a page for people, or with --json all of it, one item a line."""
        most = limit or _PAGE

        async def stream(api: Client) -> None:
            async for item in listing(api, limit):
                say_json(item)

        async def collect(api: Client) -> list[T]:
            # One more than is shown, to know whether there are more.
            return [item async for item in listing(api, most + 1)]

        if self.as_json:
            self.ask(stream)
            return
        found = self.ask(collect)
        if not found:
            remark("There is nothing to show.")
            return
        show_list(found[:most], columns, as_json=False)
        if len(found) > most:
            warn(f"there are more than these {most}; see them with --limit.")


class IssuingLedger(Ledger, frozen=True, kw_only=True):
    """The options of each command that issues a secret."""

    key: Key = None
    quiet: Quiet = False

    def issue(self, call: Callable[[Client, str], Awaitable[Issued]]) -> None:
        """Issue a token under an Idempotency-Key, and print its secret, or the key that shows it again."""
        with shown_again_by(self.key or calls.fresh_key()) as key:
            show_issued(self.ask(lambda api: call(api, key)), quiet=self.quiet, as_json=self.as_json)
