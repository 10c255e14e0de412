"""Calls of the ledger: its address, the credentials, and the messages of its refusals."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import typer

from counterfoil.cli.errors import REFUSED, UNREACHABLE, USAGE, ended, printable, remark, wants_json, warn
from counterfoil.cli.expiry_warning import ExpiryWarning
from counterfoil.cli.output import json_of
from counterfoil.client import Client, Failure, OutcomeUnknown, Password, Refused, Unavailable, Unreachable

T = TypeVar("T")
DEFAULT: Final = Path(".counterfoil/credentials.json")
_PATIENCE_SECONDS: Final = 10.0
"""Shorter than for a service, because a person waits."""

_SILENCE_SECONDS: Final = 1.0
_EXPIRY_WARNING: Final = ExpiryWarning()
"""A process runs one command."""

_ADVICE: Final = {
    "credentials-refused": "Check COUNTERFOIL_TOKEN or the credentials file: this ledger does not accept the token.",
    "credentials-missing": "Set COUNTERFOIL_TOKEN, or name a file with --credentials.",
    "scope-missing": "Use a token that holds the scope.",
    "insufficient_scope": "Use a token that holds the scope.",
    "invalid_client": "Check COUNTERFOIL_TOKEN or the credentials file: this ledger does not accept the token.",
    "beyond-caller": "Use a token that holds what you want to grant.",
}
_LISTS: Final = {
    "token revocations": "token revocations list", "token": "token list", "user": "user list",
    "scope-set": "scope-set list", "scope": "scope list",
}  # fmt: skip
"""By the first words of a command: the command that lists its subjects."""
_LOOKS: Final = {"token": "token show", "user": "user show", "account": "account show"}


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """A credentials file; a file of `login --save` has no password."""

    url: str
    admin_token: str
    admin_login: str = ""
    admin_password: str = ""

    @property
    def password(self) -> Password | None:
        """The password in the file, if there is one."""
        return Password(self.admin_login, self.admin_password) if self.admin_login and self.admin_password else None

    def __repr__(self) -> str:
        return f"Place({self.url})"


def fresh_key() -> str:
    """Return an Idempotency-Key that nobody can guess."""
    return secrets.token_hex(16)


def ask_with(
    url: str, token: str | Password | None, call: Callable[[Client], Awaitable[T]], *, otherwise: Password | None = None
) -> T:
    """Return the reply of the ledger at this address to a call with this token or password.

    If the ledger refuses the token because the call needs a password, the call is repeated with `otherwise`.
    """
    if url.startswith("http://") and urlsplit(url).hostname not in {"127.0.0.1", "::1", "localhost"}:
        warn("this connection is not encrypted, so others can read your credentials. Use https.")
    try:
        return asyncio.run(_with_client(url, token, call))
    except ValueError as error:
        raise ended(USAGE, str(error)) from None
    except Refused as refused:
        if otherwise is None or refused.facts.get("needs") != "password":
            raise _ended(refused, url) from None
        return ask_with(url, otherwise, call)
    except Failure as failure:
        raise _ended(failure, url) from None


async def _with_client(url: str, token: str | Password | None, call: Callable[[Client], Awaitable[T]]) -> T:
    async with Client(url, token, timeout_seconds=_PATIENCE_SECONDS) as client:
        waiting = asyncio.create_task(_tell_of_trouble(client))
        try:
            return await call(client)
        finally:
            waiting.cancel()
            _EXPIRY_WARNING.show(client.expiry)


async def _tell_of_trouble(client: Client) -> None:
    """Print why a call takes so long, each reason once; not with --json, where stderr has only documents.

    A call that follows the log never ends, so it is here that it warns of the end of its token.
    """
    last_shown = ""
    while True:
        await asyncio.sleep(_SILENCE_SECONDS)
        _EXPIRY_WARNING.show(client.expiry)
        trouble = client.wire.trouble
        if trouble and trouble != last_shown and not wants_json():
            remark(printable(f"counterfoil: {trouble}; still trying."))
        last_shown = trouble


def where(credentials: Path | None) -> str:
    """Return the address of the ledger, for calls with a password."""
    url = os.environ.get("COUNTERFOIL_URL", "")
    return url if url and credentials is None else _read(credentials or DEFAULT).url


def place(credentials: Path | None) -> Place:
    """Return the address of the ledger, and the token."""
    url, token = os.environ.get("COUNTERFOIL_URL", ""), os.environ.get("COUNTERFOIL_TOKEN", "")
    if credentials is None and url and token:
        return Place(url, token)
    if credentials is None and url:
        # The file's token belongs to the file's ledger; another ledger must not receive it.
        raise ended(USAGE, "COUNTERFOIL_URL is set without COUNTERFOIL_TOKEN; set both, or use --credentials.")
    found = _read(credentials or DEFAULT)
    return Place(found.url, token) if token and credentials is None else found


def _read(file: Path) -> Place:
    try:
        if file.stat().st_mode & 0o077:
            warn(f"others can read {file}; run: chmod 600 {file}")
        return msgspec.json.decode(file.read_bytes(), type=Place)
    except FileNotFoundError:
        raise ended(
            USAGE, f"there is no {file}. Set COUNTERFOIL_URL and COUNTERFOIL_TOKEN, or name a file with --credentials."
        ) from None
    except OSError as error:
        raise ended(USAGE, f"{file} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ended(USAGE, f"{file} holds no credentials: it should be JSON with url and admin_token.") from None


def _ended(failure: Failure, url: str) -> typer.Exit:
    code = REFUSED if isinstance(failure, Refused) and not isinstance(failure, Unavailable) else UNREACHABLE
    if wants_json():
        remark(json_of({"error": _document(failure), "exit_code": code}))
        return typer.Exit(code)
    return ended(code, "\n".join(printable(line) for line in _lines(failure, url)))


def _lines(failure: Failure, url: str) -> list[str]:
    lines = [str(failure)]
    match failure:
        case Refused():
            lines += [f"  {name}: {_fact(fact)}" for name, fact in failure.facts.items()]
            if advice := _advice(failure):
                lines.append(f"  {advice}")
            request = f", request {failure.request_id}" if failure.request_id else ""
            lines.append(f"  ({failure.name}, HTTP {failure.status}{request})")
        case OutcomeUnknown(idempotency_key=str() as key):
            lines.append("  Repeat the same command with this option; it happens once, whatever happened:")
            lines.append(f"  --idempotency-key {key}")
        case OutcomeUnknown():
            lines.append("  Run the same command again: it finishes the work, and does nothing twice.")
        case Unreachable():
            lines.append(f"  Nothing was changed. Is the service running at {url}? Start it, or name another one:")
            lines.append("  COUNTERFOIL_URL with COUNTERFOIL_TOKEN, or a file with --credentials.")
        case _:
            pass
    return lines


def _fact(fact: object) -> str:
    if isinstance(fact, list):
        return ", ".join(map(str, fact))
    return fact if isinstance(fact, str) else json_of(fact)


def _advice(refused: Refused) -> str | None:
    problem = refused.name
    called = " ".join(word for word in sys.argv[1:] if not word.startswith("-"))
    if problem == "not-found" and (found := _of(_LISTS, called)):
        return f"`counterfoil {found}` shows what there is."
    if problem == "stale-revision" and (found := _of(_LOOKS, called)):
        return f"Look at it again with `counterfoil {found}`, and repeat with its revision."
    if problem == "beyond-caller" and "latest" in refused.facts:
        return "State a shorter lifetime, such as --lifetime 1h, or use a token that lives longer."
    if problem == "beyond-caller" and "needs" in refused.facts:
        return None
    return _ADVICE.get(problem)


def _of(advices: Mapping[str, str], called: str) -> str | None:
    return next((advice for begins, advice in advices.items() if f"{called} ".startswith(f"{begins} ")), None)


def _document(failure: Failure) -> dict[str, object]:
    match failure:
        case Refused():
            return {
                "type": failure.type, "title": failure.title, "status": failure.status, "detail": failure.detail,
                "request_id": failure.request_id, **failure.facts,
            }  # fmt: skip
        case OutcomeUnknown():
            return {"type": "outcome-unknown", "title": str(failure), "idempotency_key": failure.idempotency_key}
        case _:
            return {"type": type(failure).__name__.lower(), "title": str(failure)}
