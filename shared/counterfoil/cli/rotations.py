"""`counterfoil token rotation`, `confirm-rotation` and `extend-grace`: the grace after a rotation."""

from __future__ import annotations

from typing import Annotated

import typer

from counterfoil.cli.display import Facts, show, time_of, until
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import IfMatch, Key, Ref
from counterfoil.cli.token_display import show_token
from counterfoil.client.documents import NetworkUse, PreviousSecret, Rotation


def rotation(ref: Ref, *, ledger: Ledger) -> None:
    """Show the last rotation of a token, and which networks still use the previous secret."""
    show(ledger.ask(lambda api: api.rotation(ref)), _facts, as_json=ledger.as_json)


def confirm_rotation(
    ref: Ref,
    *,
    even_if_unused: Annotated[
        bool, typer.Option("--even-if-unused", help="Also if the new secret was never used: nothing may work then.")
    ] = False,
    if_match: IfMatch = None,
    key: Key = None,
    ledger: Ledger,
) -> None:
    """End the previous secret of a token now. Refused while the new secret was never used."""
    confirmed = ledger.ask(
        lambda api: api.confirm_rotation(ref, even_if_unused=even_if_unused, if_match=if_match, idempotency_key=key)
    )
    show_token(confirmed, as_json=ledger.as_json)


def extend_grace(
    ref: Ref,
    *,
    grace: Annotated[
        str | None,
        typer.Option(show_default="required", help="How long the previous secret is accepted from now: 24h."),
    ] = None,
    if_match: IfMatch = None,
    key: Key = None,
    ledger: Ledger,
) -> None:
    """Accept the previous secret of a token for longer; one that has ended stays so."""
    if grace is None:
        raise typer.BadParameter("Say how long the previous secret stays good from now: --grace 24h.")
    extended = ledger.ask(lambda api: api.extend_grace(ref, grace=grace, if_match=if_match, idempotency_key=key))
    show_token(extended, as_json=ledger.as_json)


def _facts(rotation: Rotation) -> Facts:
    present, previous = rotation.present, rotation.previous
    yield "rotated", time_of(rotation.rotated_at) or "never"
    yield "generation", str(rotation.generation)
    yield (
        "new secret",
        f"{present.hint}, " + (f"used {time_of(present.last_used_at)}" if present.used else "never used"),
    )
    if previous is not None:
        yield from _previous_facts(previous)


def _previous_facts(previous: PreviousSecret) -> Facts:
    end = "ended" if previous.good_until is None else f"good until {until(previous.good_until)}"
    last = f", last {time_of(previous.last_used_at)}" if previous.last_used_at else ""
    yield "previous secret", f"{previous.hint}, {end}"
    yield "its uses", f"{previous.uses:,} since the rotation{last}"
    for each in previous.networks:
        yield "from", _network(each)


def _network(use: NetworkUse) -> str:
    state = "has moved" if use.moved else "still uses it"
    return f"{use.network}: {use.uses:,}, last {time_of(use.last_used_at)}, {state}"
