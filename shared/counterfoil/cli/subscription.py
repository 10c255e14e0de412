"""`counterfoil subscription`: events of tokens are sent to webhooks."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final
from uuid import UUID

import typer

from counterfoil.cli import options
from counterfoil.cli.calls import fresh_key
from counterfoil.cli.commands import Commands
from counterfoil.cli.display import Facts, owner_of, show, show_facts, time_of
from counterfoil.cli.errors import REFUSED, ended, remark, shown_again_by
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import IfMatch, Key, Limit
from counterfoil.cli.output import say_json
from counterfoil.cli.tables import Columns
from counterfoil.client import Client
from counterfoil.client.documents import Delivery, Subscription, SubscriptionWithSecret
from counterfoil.client.failures import NotFound
from counterfoil.client.subscriptions import NONE
from counterfoil.core import glob
from counterfoil.core.subjects.subscription_events import SUBSCRIBABLE

app = Commands(help="Webhooks that receive events of tokens.", no_args_is_help=True)

Ref = Annotated[str, typer.Argument(help="The subscription's id.", metavar="SUBSCRIPTION")]
Events = Annotated[
    list[str],
    typer.Option("--event", help=f"{', '.join(SUBSCRIBABLE[:-1])} or {SUBSCRIBABLE[-1]}."),
]
Url = Annotated[str, typer.Option(help="Where to post: an https URL.")]
Owner = Annotated[str | None, typer.Option(metavar="TYPE:ID", help="Only tokens of this owner.")]
TokenName = Annotated[str | None, typer.Option(help=f"Only tokens with this name. {glob.MEANING}")]
Scope = Annotated[str | None, typer.Option(help="Only tokens that have this scope.")]
Threshold = Annotated[str | None, typer.Option(help="Only notices of at most so long before the expiry, such as 7d.")]
_TRIES: Final = 60
_PAUSE_SECONDS: Final = 0.5


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name.")],
    *,
    url: Url,
    event: Events,
    owner: Owner = None,
    token_name: TokenName = None,
    scope: Scope = None,
    threshold: Threshold = None,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="Send one event only after the one before was received.")
    ] = False,
    key: Key = None,
    ledger: Ledger,
) -> None:
    """Send events to a URL. The secret that verifies them is printed once."""
    key = key or fresh_key()
    with shown_again_by(key):
        made = ledger.ask(
            lambda api: api.create_subscription(
                name, url=url, events=event, owner=options.owner(owner), token_name=token_name, scope=scope,
                threshold=threshold, ordered=ordered, idempotency_key=key,
            )
        )  # fmt: skip
        _show_secret(made, as_json=ledger.as_json)


@app.command("list")
def list_(*, limit: Limit = None, ledger: Ledger) -> None:
    """List subscriptions."""
    ledger.list(lambda api, most: api.subscriptions(limit=most), _SUBSCRIPTIONS, limit)


@app.command("show")
def show_(ref: Ref, *, ledger: Ledger) -> None:
    """Show a subscription."""
    ledger.show(lambda api: api.subscription(ref), _facts)


@app.command()
def update(
    ref: Ref,
    *,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    url: Annotated[str | None, typer.Option(help="Where to post.")] = None,
    event: Annotated[list[str] | None, typer.Option(help="An event to send; all others are not sent any more.")] = None,
    owner: Owner = None,
    token_name: TokenName = None,
    scope: Scope = None,
    threshold: Threshold = None,
    ordered: Annotated[bool | None, typer.Option("--ordered/--unordered", help="Whether order matters.")] = None,
    if_match: IfMatch = None,
    ledger: Ledger,
) -> None:
    """Change what is sent, or where; the word none removes a condition."""
    whose = owner if owner == NONE else options.owner(owner)
    ledger.show(
        lambda api: api.update_subscription(
            ref, name=name, url=url, events=event, owner=whose, token_name=token_name, scope=scope,
            threshold=threshold, ordered=ordered, if_match=if_match,
        ),
        _facts,
    )  # fmt: skip


@app.command()
def remove(ref: Ref, *, if_match: IfMatch = None, ledger: Ledger) -> None:
    """Remove a subscription; what is not received yet is cancelled."""
    ledger.show(lambda api: api.remove_subscription(ref, if_match=if_match), _facts)


@app.command()
def rotate_secret(
    ref: Ref,
    *,
    overlap: Annotated[
        str | None, typer.Option(help="How long messages are signed with both secrets; 24h if not stated.")
    ] = None,
    end_previous: Annotated[
        bool, typer.Option("--end-previous", help="End the secret from an earlier rotation now.")
    ] = False,
    key: Key = None,
    ledger: Ledger,
) -> None:
    """Give a subscription a new secret, which is printed once."""
    key = key or fresh_key()
    with shown_again_by(key):
        made = ledger.ask(
            lambda api: api.rotate_webhook_secret(ref, overlap=overlap, ends_previous=end_previous, idempotency_key=key)
        )
        _show_secret(made, as_json=ledger.as_json)


@app.command()
def pause(ref: Ref, *, ledger: Ledger) -> None:
    """Send nothing for now; what happens meanwhile is sent after the pause."""
    ledger.show(lambda api: api.pause_subscription(ref), _facts)


@app.command()
def resume(ref: Ref, *, ledger: Ledger) -> None:
    """Send again, after a pause or after it was disabled."""
    ledger.show(lambda api: api.resume_subscription(ref), _facts)


@app.command()
def test(ref: Ref, *, ledger: Ledger) -> None:
    """Send a test message, and show what the receiver answered."""
    delivery = ledger.ask(lambda api: _tested(api, ref))
    if delivery is None:
        raise ended(REFUSED, "The message was not sent yet; see whether a worker and a sealer run.")
    show(delivery, _delivery_facts, as_json=ledger.as_json)
    if delivery.status != "delivered":
        raise ended(REFUSED, "The receiver did not accept the message.")


@app.command()
def deliveries(
    ref: Ref,
    *,
    status: Annotated[str | None, typer.Option(help="pending, delivered, dead or cancelled.")] = None,
    limit: Limit = None,
    ledger: Ledger,
) -> None:
    """List what was sent and what will be, the latest events first."""
    ledger.list(lambda api, most: api.deliveries(ref, status=status, limit=most), _DELIVERIES, limit)


@app.command()
def redeliver(
    ref: Ref,
    delivery: Annotated[str | None, typer.Argument(help="One delivery; without it all dead ones.")] = None,
    *,
    ledger: Ledger,
) -> None:
    """Send a delivery again, or all dead ones, under the same webhook-id each."""
    ledger.show(lambda api: api.redeliver(ref, delivery), _facts)


async def _tested(api: Client, ref: str) -> Delivery | None:
    """Send a test message and return its delivery after the first attempt; None if there was none in time."""
    sent = await api.send_test(ref)
    for _ in range(_TRIES):
        await asyncio.sleep(_PAUSE_SECONDS)
        delivery = await _attempted(api, ref, sent)
        if delivery is not None:
            return delivery
    return None


async def _attempted(api: Client, ref: str, sent: UUID) -> Delivery | None:
    try:
        delivery = await api.delivery(ref, sent)
    except NotFound:  # the follower has not made it yet
        return None
    return delivery if delivery.ended_at or delivery.reason else None


def _show_secret(made: SubscriptionWithSecret, *, as_json: bool) -> None:
    if as_json:
        say_json(made)
        return
    show_facts([("secret", made.secret), *_facts(made.subscription)])
    remark("Give the secret to the receiver now: it is not shown again.")


def _conditions(subscription: Subscription) -> str:
    stated = {
        "owner": owner_of(subscription.owner) if subscription.owner else "", "name": subscription.token_name,
        "scope": subscription.scope, "threshold": subscription.threshold,
    }  # fmt: skip
    return ", ".join(f"{name} {value}" for name, value in stated.items() if value)


def _facts(subscription: Subscription) -> Facts:
    return [
        ("id", str(subscription.id)), ("name", subscription.name or ""), ("url", subscription.url),
        ("events", " ".join(subscription.events)), ("only", _conditions(subscription)),
        ("order", "one after the other" if subscription.ordered else ""), ("status", subscription.status),
        ("because", subscription.disabled_because or ""),
        ("old secret until", time_of(subscription.previous_secret_until)),
        ("created", time_of(subscription.created_at)), ("revision", str(subscription.revision)),
    ]  # fmt: skip


def _delivery_facts(delivery: Delivery) -> Facts:
    return [
        ("id", str(delivery.id)), ("status", delivery.status), ("reason", delivery.reason or ""),
        ("response", str(delivery.response_status or "")), ("reply", delivery.excerpt or ""),
    ]  # fmt: skip


_SUBSCRIPTIONS: Final[Columns[Subscription]] = {
    "id": lambda each: str(each.id),
    "name": lambda each: each.name or "",
    "status": lambda each: each.status,
    "events": lambda each: " ".join(each.events),
    "only": _conditions,
    "url": lambda each: each.url,
}
_DELIVERIES: Final[Columns[Delivery]] = {
    "id": lambda each: str(each.id),
    "event": lambda each: each.type,
    "token": lambda each: str(each.subject),
    "status": lambda each: each.status,
    "attempts": lambda each: str(each.attempts),
    "response": lambda each: str(each.response_status or ""),
    "next attempt": lambda each: time_of(each.next_attempt_at),
    "reason": lambda each: each.reason or "",
}
