"""The file of a new account's credentials: it is written whole or not at all, and only its owner can read it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from counterfoil import private_files
from counterfoil.core.duration import FOREVER

FIRST: Final = 1
"""The number of the administrator, who is the first user of the account."""


class AnotherFounding(Exception):  # noqa: N818 - named like the refusals
    """This file belongs to another account or administrator; name another file."""


class Charter(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials of a new account, as the file holds them; ids are minted first, so that all can be repeated.

    `admin_login` is what the administrator logs in with: ACCOUNT/ADDRESS, or in the first account the address alone.
    `admin_token_lifetime` is what the token was last given: such as 90d, or forever.
    """

    url: str
    account: UUID
    account_name: str
    admin_email: str
    admin_password: str
    admin_token: str
    admin_user_id: UUID
    admin_token_id: UUID
    admin_user_number: int = FIRST
    admin_login: str = ""
    admin_token_lifetime: str = FOREVER

    def __repr__(self) -> str:
        return f"{type(self).__name__}(account={self.account})"


class WithExamples(Charter, frozen=True, kw_only=True):
    """The same, with the examples that vendors' clients expect: another user, an application and a zone."""

    member_email: str
    member_password: str
    member_token: str
    member_user_id: UUID
    member_token_id: UUID
    member_user_number: int
    member_login: str = ""
    application_id: str
    zone_id: str


def read(file: Path) -> Charter | None:
    """Return the content of the file; None if it is missing or incomplete. Raises AnotherFounding."""
    try:
        found: dict[str, Any] = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        return msgspec.convert(found, WithExamples if "member_email" in found else Charter)
    except FileNotFoundError:
        return None
    except msgspec.ValidationError:  # complete, but not ours
        raise AnotherFounding(AnotherFounding.__doc__) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # incomplete, so never used: commands are sent only after the whole file is on disk


def present(file: Path) -> Charter:
    """Return the content of the file. Raises AnotherFounding if it is missing."""
    if (charter := read(file)) is None:
        raise AnotherFounding(f"The file {file} does not exist; create it with `counterfoil account create`.")
    return charter


def write(file: Path, charter: Charter) -> None:
    """Write the whole file or leave it unchanged; only its owner can read it."""
    private_files.write(file, msgspec.json.format(msgspec.json.encode(charter)) + b"\n")


@contextmanager
def locked_directory(directory: Path) -> Iterator[None]:
    """Make two foundings in one directory run one after the other."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
