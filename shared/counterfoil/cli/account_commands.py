"""`counterfoil account show`, `update`, `events` and `end-secrets`: the caller's account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
import typer

from counterfoil.cli.calls import ask
from counterfoil.cli.display import actor_of, facts, time_of
from counterfoil.cli.errors import remark
from counterfoil.cli.lists import listed
from counterfoil.cli.options import AsJson, Credentials, Limit, Since, Until
from counterfoil.cli.output import say_json
from counterfoil.cli.tables import table
from counterfoil.client import Account, Policy
from counterfoil.client.documents import AccountEvent

_NONE: Final = "none"


def show(*, credentials: Credentials = None, as_json: AsJson = False) -> None:
    """Show your account and its policy."""
    _shown(ask(lambda ledger: ledger.account(), credentials=credentials, as_json=as_json), as_json=as_json)


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
    credentials: Credentials = None,
    as_json: AsJson = False,
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
    before = ask(lambda ledger: ledger.account(), credentials=credentials, as_json=as_json)
    changed = msgspec.structs.replace(before.policy, **wanted)
    # If-Match: nobody's change in between is undone by ours.
    _shown(
        ask(
            lambda ledger: ledger.update_account(changed, shut_me_out=shut_me_out, if_match=before.revision),
            credentials=credentials, as_json=as_json,
        ),
        as_json=as_json,
    )  # fmt: skip


def end_secrets(
    *,
    reason: Annotated[str, typer.Option(help="The reason, for the log.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Revoke every secret and bearer of the account at once, also the one that you use now."""
    if not yes:
        typer.confirm(
            "Every service of this account will be refused until its token is rotated. Go on?", abort=True, err=True
        )
    account = ask(lambda ledger: ledger.end_secrets(reason=reason), credentials=credentials, as_json=as_json)
    _shown(account, as_json=as_json)
    if not as_json:
        remark("Log in with a password now, and rotate the tokens that are still needed.")


def events(
    *,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Show the events of the account, its users, its scopes and its bulk revocations, the newest first."""
    listed(
        lambda ledger, most: ledger.account_events(since=since, until=until, limit=most),
        _show_events,
        limit,
        credentials,
        as_json=as_json,
    )


def _show_events(events: Sequence[AccountEvent]) -> None:
    table(
        ("at", "what", "of", "by", "changed"),
        ((time_of(e.at), e.type, _of(e), actor_of(e.by), _changed(e)) for e in events),
    )


def _of(event: AccountEvent) -> str:
    named = event.data.get("scope") or (event.private or {}).get("name")
    return f"{event.subject.kind} {named}" if named and not event.subject.number else actor_of(event.subject)


def _changed(event: AccountEvent) -> str:
    told = [f"{field}: {_text(each.before)} → {_text(each.after)}" for field, each in (event.changes or {}).items()]
    reason = (event.private or {}).get("reason")
    return "; ".join([*told, *([f"reason: {reason}"] if reason else [])])


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


def _shown(account: Account, *, as_json: bool) -> None:
    if as_json:
        say_json(account)
        return
    ruled: Policy = account.policy
    facts([
        ("id", str(account.id)), ("name", account.name or "(erased)"),
        ("opened by", str(account.parent) if account.parent else "the server"),
        ("max lifetime", ruled.max_lifetime or "any"),
        ("lifetime", f"{ruled.default_lifetime or 'forever'} unless stated"),
        ("notices", " ".join(ruled.notices) if ruled.notices is not None else "as everywhere"),
        ("networks", " ".join(ruled.networks) or "any"),
        ("catalogue", "closed" if ruled.catalogue_closed else "open"),
        ("secrets ended", time_of(account.valid_after) or "never"),
        ("created", time_of(account.created_at)), ("revision", str(account.revision)),
    ])  # fmt: skip
