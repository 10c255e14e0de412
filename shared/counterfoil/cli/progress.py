"""A progress bar on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(what: str, *, total: int | None = None, done: int = 0) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar if stderr is a terminal; yield a function that takes the amount done and the total."""
    from rich.console import Console  # noqa: PLC0415 - 60 ms that other commands need not wait for
    from rich.progress import (  # noqa: PLC0415 - likewise
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # Rich must not redirect stdout to the bar's terminal: stdout may be a file.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=sys.stdout.isatty()
    ) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda done, total: bar.update(task, completed=done, total=total)
