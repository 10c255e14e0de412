"""Somebody who asks with their password: prompted for, or read from standard input, and never a word of the command."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from counterfoil.client import Client, Password, Refused

from .asking import ask_with, where
from .complaints import USAGE, ended

T = TypeVar("T")


class Person:
    """A user at a terminal, or a program that writes a line for each thing that is asked."""

    def __init__(self, email: str, *, credentials: Path | None, as_json: bool) -> None:
        self._email = email
        self._url = where(credentials)
        self._as_json = as_json
        self._password = told(f"Password of {email}: ")

    def ask(self, call: Callable[[Client], Awaitable[T]]) -> T:
        """Return what the ledger answers; a one-time code, each good for one call, is asked for if the ledger does."""

        async def once(ledger: Client) -> T | Refused:
            try:
                return await call(ledger)
            except Refused as refused:
                if refused.name == "otp-required":
                    return refused
                raise

        answer = ask_with(self._url, Password(self._email, self._password), once, as_json=self._as_json)
        if not isinstance(answer, Refused):
            return answer
        code = told("One-time code, or a recovery code: ")
        return ask_with(self._url, Password(self._email, self._password, code), call, as_json=self._as_json)


def told(prompt: str) -> str:
    """Return a line that is not shown while it is typed; without a terminal, the next line of standard input."""
    line = getpass.getpass(prompt, sys.stderr) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise ended(USAGE, f"nothing was said to: {prompt.rstrip(': ')}")
    return line


def chosen(prompt: str) -> str:
    """Return a new password; at a terminal it is typed twice."""
    password = told(prompt)
    if sys.stdin.isatty() and told("Once more: ") != password:
        raise ended(USAGE, "these were not the same")
    return password
