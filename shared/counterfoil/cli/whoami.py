"""`counterfoil whoami` and `token introspect`: what credentials allow now."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import msgspec

from counterfoil.cli.calls import ask_with, place
from counterfoil.cli.display import Facts, owner_of, show, show_facts, time_of
from counterfoil.cli.ledger import Ledger
from counterfoil.cli.output import say_json
from counterfoil.cli.password_prompt import typed
from counterfoil.client import Client
from counterfoil.client.documents import Introspection, Token, User
from counterfoil.core.scopes import meet, missing


class Self(msgspec.Struct, frozen=True, kw_only=True):
    """The caller: a token, by its secret or by a bearer that was issued for it.

    `user` is the token's owner, and `account_name` the account's name, both only if the caller may read them.
    """

    kind: str
    account: str
    account_name: str | None
    user: User | None
    scopes: tuple[str, ...]
    expires_at: datetime | None
    token: Token


class Claims(msgspec.Struct, frozen=True):
    """The claims of a bearer that are shown."""

    scope: str
    exp: int


def whoami(*, ledger: Ledger) -> None:
    """Show whose credentials you use, and what they allow."""
    found_at = place(ledger.credentials)
    claims = _claims(found_at.admin_token)
    found = ask_with(found_at.url, found_at.admin_token, lambda api: _oneself(api, claims))
    show(found, _facts, as_json=ledger.as_json)


def introspect(*, ledger: Ledger) -> None:
    """Check whether the API accepts a secret or a bearer now. Type it at a prompt, or pass it on standard input."""
    # As an argument it would be visible in the shell's history and in the list of processes.
    presented = typed("Secret or bearer: ")
    found = ledger.ask(lambda api: api.introspect(presented))
    if ledger.as_json:
        say_json({"active": found.active, **found.facts})
    else:
        show_facts(_introspection_facts(found))


def _facts(found: Self) -> Facts:
    token, user = found.token, found.user
    return [
        ("asking as", found.kind), ("token", f"{token.number}, {token.name or '(erased)'}"), ("id", str(token.id)),
        ("owner", owner_of(token.owner)),
        ("user", "" if user is None else f"{user.email or '(forgotten)'} ({user.role})"),
        ("account", f"{found.account}{f' ({found.account_name})' if found.account_name else ''}"),
        ("scopes", " ".join(found.scopes) or "(none)"), ("expires", time_of(found.expires_at) or "never"),
    ]  # fmt: skip


async def _oneself(ledger: Client, claims: Claims | None) -> Self:
    token = await ledger.get("self")
    held, until = token.effective_scopes, token.expires_at
    if claims is not None:
        held, until = meet(held, tuple(claims.scope.split())), datetime.fromtimestamp(claims.exp, UTC)
    # Request only what the caller may read: the service records refused calls.
    name = None if missing(held, ["account.read"]) else (await ledger.account()).name
    reads_user = token.owner.type == "user" and not (missing(held, ["users.read"]) and missing(held, ["own.read"]))
    user = await ledger.user() if reads_user else None
    return Self(
        kind="token" if claims is None else "bearer", account=str(token.account), account_name=name, user=user,
        scopes=held, expires_at=until, token=token,
    )  # fmt: skip


def _claims(presented: str) -> Claims | None:
    """Return the claims of a bearer; a secret has none."""
    parts = presented.split(".")
    if len(parts) != 3:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=="), type=Claims)
    except (ValueError, msgspec.MsgspecError):
        return None


def _introspection_facts(found: Introspection) -> Facts:
    texts = {name: " ".join(fact) if isinstance(fact, list) else str(fact) for name, fact in found.facts.items()}
    stated = {name: texts[name] for name in ("exp", "iat") if texts.get(name)}
    moments = {name: time_of(datetime.fromtimestamp(int(text), UTC)) for name, text in stated.items()}
    return [
        ("active", "yes" if found.active else "no"), ("token", texts.get("client_id", "")),
        ("owner", f"{texts['owner_type']}:{texts['sub']}" if {"owner_type", "sub"} <= texts.keys() else ""),
        ("account", texts.get("account", "")), ("scopes", texts.get("scope", "")),
        ("expires", moments.get("exp", "never" if found.active else "")), ("issued", moments.get("iat", "")),
        ("generation", texts.get("generation", "")), ("bearer", texts.get("jti", "")),
        ("audience", texts.get("aud", "")),
    ]  # fmt: skip
