"""A file of events, and its options in a second file, so that an interrupted export can continue."""

from __future__ import annotations

import csv
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
import typer

from counterfoil import private_files
from counterfoil.cli.errors import NOT_SHOWN, REFUSED, USAGE, ended
from counterfoil.cli.log_display import CSV_HEADS, csv_line, csv_row
from counterfoil.cli.log_filters import LogFilters
from counterfoil.client import LogEvent, Unintelligible, log

Form = Literal["ndjson", "csv"]
_LONGEST_LINE: Final = 1 << 22
_HEADER: Final = csv_line(CSV_HEADS).encode()
_AS_BEFORE: Final = "Give the same again, name another file, or begin anew with --force."
_OTHERWISE: Final = "Name another file, or begin anew with --force."


class _Memory(msgspec.Struct, frozen=True):
    """The options of an export: as they were stated, and with moments in place of durations."""

    format: Form
    as_stated: LogFilters
    query: LogFilters


@dataclass(frozen=True, slots=True)
class ExportFile:
    """An open file of events; `last` is its last line, at `position` in the log, 0 if there is no event in it."""

    path: Path
    handle: int
    form: Form
    query: LogFilters
    last: bytes
    position: int

    def line(self, event: LogEvent) -> bytes:
        """Return an event as this file has it."""
        return (event.line if self.form == "ndjson" else csv_row(event).encode()) + b"\n"

    def write(self, content: bytes) -> None:
        """Write all of it, or end the command."""
        try:
            while content:
                content = content[os.write(self.handle, content) :]
        except OSError as error:
            raise _unwritten(self.path, error) from None

    def sync(self) -> None:
        """Return once everything is on disk."""
        try:
            os.fsync(self.handle)
        except OSError as error:
            raise _unwritten(self.path, error) from None

    def refuse_unless_last(self, event: LogEvent | None) -> None:
        """End the command if the ledger has another event at the position of the file's last line."""
        if event is None or _identity(self.form, self.last) != _identity(self.form, self.line(event)[:-1]):
            raise ended(
                REFUSED,
                f"{self.path} ends with an event at position {self.position:,} that this ledger does not have there: "
                "the file is from another ledger, or the ledger is an older copy.",
                advice=_OTHERWISE,
            )


@contextmanager
def opened(path: Path, form: Form, as_stated: LogFilters, *, force: bool) -> Iterator[ExportFile]:
    """Open a file to continue, or a new one, and lock it; or end the command with a message."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise ended(USAGE, f"{path} cannot be written: {error.strerror}.") from None
    try:
        yield _begun(path, handle, form, as_stated, force=force)
    finally:
        os.close(handle)


def _begun(path: Path, handle: int, form: Form, as_stated: LogFilters, *, force: bool) -> ExportFile:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise ended(USAGE, f"{path} is not a regular file; name another one.")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ended(USAGE, f"another export is writing to {path}; wait for its end.") from None
    if force:
        os.ftruncate(handle, 0)
        os.fchmod(handle, 0o600)
    memory = _Memory(form, as_stated, as_stated.at(datetime.now(UTC)))
    if os.fstat(handle).st_size:
        query = _remembered(path, memory).query
        last = _whole_lines(path, handle)
        return ExportFile(path, handle, form, query, last, _position(path, form, last))
    _remember(path, memory)
    return _new(ExportFile(path, handle, form, memory.query, b"", 0))


def _new(file: ExportFile) -> ExportFile:
    if file.form == "csv":
        file.write(_HEADER + b"\n")
    return file


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.export")


def _remember(path: Path, memory: _Memory) -> None:
    """Write the options beside a file."""
    try:
        private_files.write(_beside(path), msgspec.json.encode(memory) + b"\n")
    except OSError as error:
        raise _unwritten(_beside(path), error) from None


def _remembered(path: Path, wanted: _Memory) -> _Memory:
    """Return the options that the file was begun with; end the command if they are unknown or differ."""
    beside = _beside(path)
    try:
        memory = msgspec.json.decode(beside.read_bytes(), type=_Memory)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ended(
            USAGE, f"{path} exists, but {beside}, which says what it holds, cannot be read.", advice=_OTHERWISE
        ) from None
    if memory.format != wanted.format:
        raise ended(USAGE, f"{path} was begun with --format {memory.format}.", advice=_AS_BEFORE)
    then, now = memory.as_stated, wanted.as_stated
    if differing := [name for name in now.__struct_fields__ if getattr(then, name) != getattr(now, name)]:
        options = ", ".join(f"--{'type' if name == 'types' else name.replace('_', '-')}" for name in differing)
        raise ended(
            USAGE, f"{path} was begun with other filters ({options}).", advice=f"Give the same again. {_OTHERWISE}"
        )
    return memory


def _whole_lines(path: Path, handle: int) -> bytes:
    """Truncate an incomplete last line, and return the last complete one."""
    size = os.fstat(handle).st_size
    start = max(0, size - _LONGEST_LINE)
    tail = os.pread(handle, size - start, start)
    end = tail.rfind(b"\n") + 1
    if start and not end:
        raise ended(USAGE, f"{path} does not end with a line of an export.", advice=_OTHERWISE)
    os.ftruncate(handle, start + end)
    return tail[:end].rstrip(b"\n").rpartition(b"\n")[2]


def _position(path: Path, form: Form, last: bytes) -> int:
    try:
        return 0 if last in {b"", _HEADER} else int(_identity(form, last)[0])
    except (ValueError, IndexError, StopIteration, csv.Error, Unintelligible):
        raise ended(USAGE, f"the last whole line of {path} is not an event of the log.", advice=_OTHERWISE) from None


def _identity(form: Form, line: bytes) -> tuple[str, ...]:
    """Return the parts of an event that never change: not its private part, which can be erased."""
    if form == "ndjson":
        event = log.read(line)
        return (str(event.position), event.entry if isinstance(event, LogEvent) else "")
    return tuple(next(csv.reader([line.decode()]))[:-1])


def _unwritten(path: Path, error: OSError) -> typer.Exit:
    return ended(
        NOT_SHOWN, f"{path} cannot be written: {error.strerror}.",
        advice="Once it can, the same command goes on where the file ends.",
    )  # fmt: skip
