"""The options that commands share, and their parsers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from counterfoil.cli.completion import token_refs
from counterfoil.client import spelling
from counterfoil.core import moments
from counterfoil.core.duration import length
from counterfoil.core.refusals import BadDuration


def moment(text: str) -> datetime:
    """Parse a time with its zone, or a date, by the API's rule."""
    if (read := moments.stated(text)) is not None:
        return read
    wrong = moments.zoneless(text) or f"{text!r} is no moment; write it like {moments.EXAMPLE}"
    raise typer.BadParameter(f"{wrong}.")


def whole(text: str) -> int:
    """Parse a whole number from 1 on."""
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text)):
        raise typer.BadParameter(f"{text!r} is no whole number from 1 on; write it like 50.")
    return int(text)


def moment_or_version(text: str) -> datetime | int:
    """Parse a moment, or the number of a version."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    try:
        return moment(text)
    except typer.BadParameter as error:
        if moments.zoneless(text):
            raise
        raise typer.BadParameter(f"{error.message.rstrip('.')}, or like 3 for a version.") from None


def when(text: str) -> str:
    """Check a moment, or a duration, which the ledger counts by its own clock, and return its text."""
    try:
        return spelling.text(moments.read(text))
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None


def span(text: str) -> str:
    """Check a duration, and return its text."""
    try:
        length(text)
    except BadDuration:
        raise typer.BadParameter(f"{text!r} is not a duration; write it like 90d or 2h45m.") from None
    return text


def time_filter(name: str, says: str) -> typer.models.OptionInfo:
    """Return an option that takes a moment or a duration."""
    option: typer.models.OptionInfo = typer.Option(name, parser=when, metavar="MOMENT|DURATION", help=says)
    return option


def owner(text: str | None) -> tuple[str, str] | None:
    """Return the two parts of TYPE:ID."""
    return None if text is None else stated_owner(text)


def stated_owner(text: str) -> tuple[str, str]:
    """Return the two parts of TYPE:ID."""
    kind, colon, name = text.partition(":")
    if not colon or not name:
        raise typer.BadParameter(f"{text!r} is no TYPE:ID; write it like service:backup, application:shop or user:2.")
    return kind, name


def metadata(pairs: Sequence[str] | None) -> dict[str, str] | None:
    """Return KEY=VALUE pairs as a mapping; None if there are none."""
    if not pairs:
        return None
    if odd := [pair for pair in pairs if "=" not in pair]:
        raise typer.BadParameter(f"{odd[0]!r} is no KEY=VALUE; write it like team=ops.")
    return dict(pair.split("=", 1) for pair in pairs)


def number(given: str | None) -> int | Literal["none"] | None:
    """Parse a number, or the word none, which removes a limit."""
    if given is None or given == "none":
        return given  # type: ignore[return-value] # the word itself
    if not re.fullmatch(r"[0-9]{1,18}", given):  # the ledger, and int(), refuse longer numbers
        raise typer.BadParameter(f"{given[:40]!r} is no number; write one such as 100, or none.")
    return int(given)


def stated_number(given: str | None) -> int | None:
    """Parse a number for a new token, where none means no limit."""
    found = number(given)
    return None if found == "none" else found


def networks(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the networks without the word any; no network means anywhere."""
    return None if not given else tuple(network for network in given if network != "any")


Ref = Annotated[
    str, typer.Argument(help="The token's number or id, or: self.", metavar="TOKEN", autocompletion=token_refs)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: one document, or for lists one a line.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the secret alone, for a variable or a file.")]
Credentials = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        help="A file with url and admin_token. Without it: COUNTERFOIL_URL and COUNTERFOIL_TOKEN, "
        "else .counterfoil/credentials.json.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key", help="The key that a change with an unknown outcome printed, to repeat it safely."
    ),
]
IfMatch = Annotated[
    int | None,
    typer.Option("--if-match", parser=whole, metavar="REVISION", help="Only if the token is still at this revision."),
]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="A scope of the token; may be repeated.")]
Metadata = Annotated[list[str] | None, typer.Option("--metadata", metavar="KEY=VALUE", help="May be repeated.")]
Since = Annotated[str | None, time_filter("--since", "From then on; 7d: from 7 days ago on.")]
Until = Annotated[str | None, time_filter("--until", "Before then; 7d: over 7 days ago.")]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="CIDR", help="A network to use it from; may be repeated. any: from anywhere."),
]
RateLimit = Annotated[
    str | None,
    typer.Option("--rate-limit", metavar="N/DURATION", help="How often it may be used, such as 600/1m; or none."),
]
MaxUses = Annotated[
    str | None, typer.Option("--max-uses", metavar="N", help="How often it may be used in all, such as 100; or none.")
]
_OWNERS: Final = "service:backup, application:shop, or a user by number, e-mail address or id, such as user:2."
OwnerText = Annotated[
    str | None, typer.Option("--owner", metavar="TYPE:ID", help=f"On whose behalf it acts: {_OWNERS}")
]
OwnerFilter = Annotated[str | None, typer.Option("--owner", metavar="TYPE:ID", help=f"Only tokens of {_OWNERS}")]
WithChildren = Annotated[
    bool, typer.Option("--with-children", help="Also revoke the tokens that it made, at any depth.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be revoked; nothing is changed.")]
CreatorFilter = Annotated[
    str | None,
    typer.Option(
        "--creator",
        metavar="KIND:ID",
        help="Only tokens that this user or token made: user:2, user:grace@example.org, token:7, or an id.",
    ),
]
Lifetime = Annotated[str | None, typer.Option("--lifetime", help="Its lifetime: 90d, 2h45m or forever.")]
ExpiresAt = Annotated[
    datetime | None,
    typer.Option("--expires-at", parser=moment, metavar="MOMENT", help="When it expires, instead of --lifetime."),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", parser=whole, metavar="NUMBER", help="How many to show; the default is 50, with --json all."
    ),
]
WHOSE: Final = "Only rows of this user or token: user:2, user:grace@example.org, token:7, or an id."
