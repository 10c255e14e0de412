"""Calls with the user's password, from a prompt or from standard input, and never from the command line."""

from __future__ import annotations

import base64
import getpass
import hmac
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from counterfoil.cli.calls import ask_with, where
from counterfoil.cli.errors import USAGE, ended
from counterfoil.client import Client, Denied, Password, Refused
from counterfoil.client.documents import User

T = TypeVar("T")
_PASSWORD_BYTES: Final = 18


class Person:
    """A user at a terminal, or a program that writes one line for each prompt."""

    def __init__(self, email: str, credentials: Path | None) -> None:
        self._email = email
        self._url = where(credentials)
        self._password = typed(f"Password of {email}: ")

    def ask(self, call: Callable[[Client], Awaitable[T]]) -> T:
        """Return the reply; prompt for a one-time code, each valid for one call, if the ledger requires one."""
        return self._ask(self._password, call)

    def made_up(self, key: str) -> str:
        """Derive a new password from the present one and the key, so that a repeated command makes the same one."""
        made = hmac.digest(key.encode(), self._password.encode(), "sha256")
        return base64.urlsafe_b64encode(made[:_PASSWORD_BYTES]).decode()

    def change_password(self, new: str, *, key: str, repeated: bool) -> User:
        """Change the user's own password. If an earlier try succeeded, the ledger refuses the present one."""
        if repeated and (user := self._ask(new, _user_if_known)):
            return user
        return self.ask(lambda ledger: ledger.change_password(password=new, idempotency_key=key)).user

    def _ask(self, password: str, call: Callable[[Client], Awaitable[T]]) -> T:
        async def once(ledger: Client) -> T | Refused:
            try:
                return await call(ledger)
            except Refused as refused:
                if refused.name == "otp-required":
                    return refused
                raise

        answer = ask_with(self._url, Password(self._email, password), once)
        if not isinstance(answer, Refused):
            return answer
        code = typed("One-time code, or a recovery code: ")
        return ask_with(self._url, Password(self._email, password, code), call)


async def _user_if_known(ledger: Client) -> User | None:
    try:
        return await ledger.user()
    except Denied as denied:
        if denied.name == "credentials-refused":
            return None
        raise


def typed(prompt: str) -> str:
    """Read a line without echo; without a terminal, the next line of standard input."""
    try:
        line = getpass.getpass(prompt, sys.stderr) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ended(USAGE, f"the answer to {prompt.rstrip(': ')!r} is not in {sys.stdin.encoding}.") from None
    except OSError as error:
        raise ended(USAGE, f"standard input cannot be read: {error.strerror}.") from None
    if not line:
        raise ended(
            USAGE, f"no answer was given to {prompt.rstrip(': ')!r}; type one, or pipe it in as a line of its own."
        )
    return line


def chosen(prompt: str) -> str:
    """Read a new password; at a terminal, twice."""
    password = typed(prompt)
    if sys.stdin.isatty() and typed("Once more: ") != password:
        raise ended(USAGE, "the two passwords differ; type the same one twice")
    return password
