"""`counterfoil token import`: tokens of another system, from a file; a second run finishes the first."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from counterfoil.cli.errors import REFUSED, USAGE, ended, printable, remark
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.output import say, say_json
from counterfoil.cli.progress import progress
from counterfoil.client import Client, Invalid
from counterfoil.client.documents import Imported

_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 900_000
_DIGESTS: Final = ("sha256", "sha512")
_TEXTS: Final = frozenset({"name", "description", "lifetime", "expires_at", "created_at", "secret"})


class Line(NamedTuple):
    """A token from one line of the file, or what is wrong with that line."""

    number: int
    token: dict[str, Any] | None
    problem: str = ""

    @property
    def size(self) -> int:
        """About how many bytes it takes in a request."""
        return len(json.dumps(self.token))


def import_file(
    file: Annotated[Path, typer.Argument(help="NDJSON, one token a line, or CSV with a header line (*.csv).")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen to each token.")] = False,
    ledger: Ledger,
) -> None:
    """Import tokens of another system with their secrets; after a failure, run it again to finish."""
    try:
        lines = list(_csv(file) if file.suffix.lower() == ".csv" else _ndjson(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ended(USAGE, f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    counts = ledger.ask(lambda api: _import(api, lines, dry_run=dry_run, as_json=ledger.as_json))
    if not ledger.as_json:
        done, already, refused = (counts[status] for status in ("imported", "already", "refused"))
        outcome = "would be imported" if dry_run else "imported"
        say(f"{done:,} {outcome}, {already:,} already, {refused:,} refused\n")
    if counts["refused"]:
        raise typer.Exit(REFUSED)


async def _import(ledger: Client, lines: Sequence[Line], *, dry_run: bool, as_json: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    with progress("importing") as moved:
        for line in (line for line in lines if line.token is None):
            counts["refused"] += 1
            _print(line, Imported(status="refused", problem={"detail": line.problem}), as_json=as_json)
        for batch in _batches([line for line in lines if line.token is not None]):
            for line, result in await _import_batch(ledger, batch, dry_run=dry_run):
                counts[result.status] += 1
                _print(line, result, as_json=as_json)
            moved(counts.total(), len(lines))
    return counts


async def _import_batch(ledger: Client, batch: Sequence[Line], *, dry_run: bool) -> list[tuple[Line, Imported]]:
    """Import a batch; a malformed one is halved until the malformed line is found."""
    try:
        report = await ledger.import_tokens([line.token for line in batch if line.token is not None], dry_run=dry_run)
    except Invalid as invalid:
        if len(batch) > 1:
            middle = len(batch) // 2
            first = await _import_batch(ledger, batch[:middle], dry_run=dry_run)
            return [*first, *await _import_batch(ledger, batch[middle:], dry_run=dry_run)]
        return [(batch[0], Imported(status="refused", problem={"type": invalid.type, "detail": invalid.detail}))]
    return list(zip(batch, report.results, strict=True))


def _print(line: Line, result: Imported, *, as_json: bool) -> None:
    problem = result.problem
    if as_json:
        outcome = {"line": line.number, "status": result.status, "token": result.token, "problem": problem}
        say_json({name: value for name, value in outcome.items() if value is not None})
    elif problem is not None:
        field = f" ({problem['field']})" if "field" in problem else ""
        remark(printable(f"line {line.number}: {problem.get('detail', problem.get('title', ''))}{field}"))


def _batches(lines: Sequence[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == _AT_ONCE or size + line.size > _BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += line.size
    if batch:
        yield batch


def _ndjson(file: Path) -> Iterator[Line]:
    with file.open(encoding="utf-8") as lines:
        for number, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                token = json.loads(text)
            except (ValueError, RecursionError):
                token = None
            # The message omits the value: it may be a secret.
            yield Line(number, token) if isinstance(token, dict) else Line(number, None, "This is not a JSON object.")


def _csv(file: Path) -> Iterator[Line]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        for row in reader:
            try:
                yield Line(reader.line_num, _token(row))
            except ValueError as error:
                yield Line(reader.line_num, None, str(error))


def _token(row: dict[str, Any]) -> dict[str, Any]:
    token: dict[str, Any] = {}
    for head, value in row.items():
        if head is None or value is None:
            raise ValueError("This line has more or fewer fields than the header line.")
        if not value:
            continue
        if head in _TEXTS:
            token[head] = value
        elif head == "owner":
            kind, _, name = value.partition(":")
            token["owner"] = {"type": kind, "id": name}
        elif head == "scopes":
            token["scopes"] = value.split()
        elif head in _DIGESTS:
            token["digest"] = {"algorithm": head, "value": value}
        elif head.startswith("metadata."):
            token.setdefault("metadata", {})[head.removeprefix("metadata.")] = value
        else:
            raise ValueError(f"There is no field {head!r}; metadata stands under metadata.{head}.")
    return token
