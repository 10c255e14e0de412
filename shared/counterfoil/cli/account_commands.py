"""`counterfoil account show`, `update`, `events` and `end-secrets`: the caller's account."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import typer

from counterfoil.cli.display import Facts, actor_of, time_of
from counterfoil.cli.errors import remark
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.options import Limit, Since, Until
from counterfoil.cli.tables import Columns
from counterfoil.client.documents import Account, AccountEvent

_NONE: Final = "none"


def show(*, ledger: Ledger) -> None:
    """Show your account and its policy."""
    ledger.show(lambda api: api.account(), _facts)


def update(
    *,
    max_lifetime: Annotated[str | None, typer.Option(help="The longest lifetime of a token: 90d, or none.")] = None,
    default_lifetime: Annotated[str | None, typer.Option(help="The lifetime if none is stated: 30d, or none.")] = None,
    notice: Annotated[
        list[str] | None, typer.Option(help="Notice before an expiry; repeatable, or none for the default.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(help="The networks to call from: 192.0.2.0/24; repeat for more, or none for anywhere."),
    ] = None,
    catalogue_closed: Annotated[
        bool | None,
        typer.Option(
            "--catalogue-closed/--catalogue-open",
            show_default=False,
            help="Whether foreign scopes are granted only if the catalogue describes them.",
        ),
    ] = None,
    shut_me_out: Annotated[
        bool, typer.Option(help="Confirm, although your own address is in none of these networks.")
    ] = False,
    ledger: Ledger,
) -> None:
    """Change the account's policy; rules that you do not state stay as they are."""
    stated = {
        "max_lifetime": max_lifetime, "default_lifetime": default_lifetime,
        "notices": None if notice is None else tuple(notice), "networks": None if network is None else tuple(network),
        "catalogue_closed": catalogue_closed,
    }  # fmt: skip
    if all(value is None for value in stated.values()):
        raise typer.BadParameter("Say what should change, for example --max-lifetime 90d.")
    wanted = {name: _meant(name, value) for name, value in stated.items() if value is not None}
    before = ledger.ask(lambda api: api.account())
    changed = msgspec.structs.replace(before.policy, **wanted)
    # If-Match: nobody's change in between is undone by ours.
    ledger.show(
        lambda api: api.update_account(changed, shut_me_out=shut_me_out, if_match=before.revision), _facts
    )  # fmt: skip


def end_secrets(
    *,
    reason: Annotated[str, typer.Option(help="The reason, for the log.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    ledger: Ledger,
) -> None:
    """Revoke every secret and bearer of the account at once, also the one that you use now."""
    if not yes:
        typer.confirm(
            "Every service of this account will be refused until its token is rotated. Go on?", abort=True, err=True
        )
    ledger.show(lambda api: api.end_secrets(reason=reason), _facts)
    if not ledger.as_json:
        remark("Log in with a password now, and rotate the tokens that are still needed.")


def events(*, since: Since = None, until: Until = None, limit: Limit = None, ledger: Ledger) -> None:
    """Show the events of the account, its users, its scopes and its bulk revocations, the newest first."""
    ledger.list(lambda api, most: api.account_events(since=since, until=until, limit=most), _EVENTS, limit)


def _of(event: AccountEvent) -> str:
    named = event.data.get("scope") or (event.private or {}).get("name")
    return f"{event.subject.kind} {named}" if named and not event.subject.number else actor_of(event.subject)


def _changed(event: AccountEvent) -> str:
    changes = [f"{field}: {_text(each.before)} → {_text(each.after)}" for field, each in (event.changes or {}).items()]
    reason = (event.private or {}).get("reason")
    return "; ".join([*changes, *([f"reason: {reason}"] if reason else [])])


def _text(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "(none)"
    return "(none)" if value in (None, "") else str(value)


def _meant(name: str, value: str | bool | tuple[str, ...]) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return None if value == _NONE else value
    if value != (_NONE,):
        return value
    return None if name == "notices" else ()


def _facts(account: Account) -> Facts:
    policy = account.policy
    return [
        ("id", str(account.id)), ("name", account.name or "(erased)"),
        ("opened by", str(account.parent) if account.parent else "the server"),
        ("max lifetime", policy.max_lifetime or "any"),
        ("lifetime", f"{policy.default_lifetime or 'forever'} unless stated"),
        ("notices", " ".join(policy.notices) if policy.notices is not None else "as everywhere"),
        ("networks", " ".join(policy.networks) or "any"),
        ("catalogue", "closed" if policy.catalogue_closed else "open"),
        ("secrets ended", time_of(account.valid_after) or "never"),
        ("created", time_of(account.created_at)), ("revision", str(account.revision)),
    ]  # fmt: skip


_EVENTS: Final[Columns[AccountEvent]] = {
    "at": lambda event: time_of(event.at),
    "what": lambda event: event.type,
    "of": _of,
    "by": lambda event: actor_of(event.by),
    "changed": _changed,
}
