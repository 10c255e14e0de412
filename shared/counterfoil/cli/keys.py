"""`counterfoil keys`: the keys that sign bearers, on the server (DATABASE_URL, KEY_ENCRYPTION_KEY)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from counterfoil.cli.display import time_of
from counterfoil.cli.errors import REFUSED, USAGE, ended, on_server, settings
from counterfoil.cli.options import AsJson
from counterfoil.cli.tables import Columns, show_list
from counterfoil.core.principal import NIL, SYSTEM
from counterfoil.core.subjects.signing_key_events import ActivateKey, PublishKey, RemoveKey
from counterfoil.core.subjects.signing_keys import RING, Ring, SigningKey
from counterfoil.core.subjects.subject import Command

if TYPE_CHECKING:
    from counterfoil.uses.key_encryption import Sealing

    CommandFor = Callable[[Ring | None, Sealing], Command]

app = typer.Typer(help="Signing keys, on the server itself (DATABASE_URL, KEY_ENCRYPTION_KEY).", no_args_is_help=True)

Ref = Annotated[str, typer.Argument(help="The key's number, as `keys list` shows it, or its id.", metavar="KEY")]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A key as commands print it; at `next_at` the API lets it sign, or removes it."""

    number: int
    kid: str
    status: str
    published_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None
    removed_at: datetime | None
    next_at: datetime | None


@app.command("list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List every key, its status, and its next change."""
    _run(None, as_json=as_json)


@app.command()
def rotate(*, as_json: AsJson = False) -> None:
    """Publish another key. The API lets it sign once services can have fetched it, and later removes the old one."""

    def publish(ring: Ring | None, sealing: Sealing) -> Command:
        return PublishKey(account=NIL, id=RING, by=SYSTEM, new_key=sealing.new_key(), revisions=_revisions(ring))

    _run(publish, as_json=as_json)


@app.command()
def activate(
    ref: Ref,
    *,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Even if some services may not have fetched it yet.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let the published key sign now, and retire the present one, without waiting for the API."""

    def activate_key(ring: Ring | None, _: Sealing) -> Command:
        kid = _kid(ring, ref)
        return ActivateKey(account=NIL, id=RING, by=SYSTEM, kid=kid, emergency=emergency, revisions=_revisions(ring))

    _run(activate_key, as_json=as_json)


@app.command()
def remove(
    ref: Ref,
    *,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Remove it at once; every bearer token that it signed becomes invalid.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="The reason, for the log; required with --emergency.")] = "",
    as_json: AsJson = False,
) -> None:
    """Remove a retired key whose bearers have expired; in an emergency any key, and another one signs at once."""
    if emergency != bool(reason):
        raise ended(USAGE, "give --emergency and --reason together, or neither")

    def remove_key(ring: Ring | None, sealing: Sealing) -> Command:
        kid = _kid(ring, ref)
        key, next_key = (ring.key(kid), ring.first("published")) if ring else (None, None)
        alone = key is not None and key.status == "active" and next_key is None
        return RemoveKey(
            account=NIL, id=RING, by=SYSTEM, kid=kid, reason=reason, revisions=_revisions(ring),
            successor=sealing.new_key() if emergency and alone else None,
        )  # fmt: skip

    _run(remove_key, as_json=as_json)


def _run(command_for: CommandFor | None, *, as_json: bool) -> None:
    """Execute a command, if there is one, and show the keys."""
    configured = settings("keys")
    ring = on_server(_execute(configured.database_url, configured.key_encryption_key, command_for))
    keys = [_shown(ring, number, key) for number, key in enumerate(ring.keys, start=1)] if ring else []
    show_list(keys, _KEYS, as_json=as_json)


async def _execute(url: str, encryption_key: bytes, command_for: CommandFor | None) -> Ring | None:
    from counterfoil.door import Door  # noqa: PLC0415 - client commands need no door
    from counterfoil.postgres.connection import connect  # noqa: PLC0415 - likewise
    from counterfoil.postgres.signing_keys import stored_ring  # noqa: PLC0415 - likewise
    from counterfoil.uses.key_encryption import Sealing  # noqa: PLC0415 - likewise

    connection, sealing = await connect(url), Sealing(encryption_key)
    try:
        stored = await stored_ring(connection)
    finally:
        await connection.close()
    for kid, sealed in stored.encrypted.items() if stored else ():
        sealing.opened(kid, sealed)  # refuses a wrong key before it encrypts another signing key
    ring = stored.ring if stored else None
    if command_for is None:
        return ring
    async with Door(url) as door:
        state = (await door.execute(command_for(ring, sealing))).state
    return state if isinstance(state, Ring) else None


def _revisions(ring: Ring | None) -> frozenset[int]:
    return frozenset({ring.revision if ring else 0})


def _kid(ring: Ring | None, ref: str) -> str:
    keys = ring.keys if ring else ()
    for number, key in enumerate(keys, start=1):
        if ref in (str(number), key.kid):
            return key.kid
    raise ended(REFUSED, f"there is no key {ref!r}; see `counterfoil keys list`")


def _shown(ring: Ring, number: int, key: SigningKey) -> Shown:
    next_change = {"published": ring.activation, "retired": ring.removal}.get(key.status)
    return Shown(
        number=number, kid=key.kid, status=key.status, published_at=key.published_at, activated_at=key.activated_at,
        retired_at=key.retired_at, removed_at=key.removed_at,
        next_at=next_change(key) if next_change else None,
    )  # fmt: skip


def _next(key: Shown) -> str:
    verb = "signs" if key.status == "published" else "removed"
    return f"{verb} {time_of(key.next_at)}" if key.next_at else ""


_KEYS: Final[Columns[Shown]] = {
    "no.": lambda key: str(key.number),
    "key": lambda key: key.kid,
    "status": lambda key: key.status,
    "since": lambda key: time_of(key.removed_at or key.retired_at or key.activated_at or key.published_at),
    "by itself": _next,
}
