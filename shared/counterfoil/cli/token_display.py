"""The output of tokens, of their events and alerts, and of secrets that are shown once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import UNSET, UnsetType

from counterfoil.cli.display import Facts, actor_of, fields_of, owner_of, show, show_facts, span, time_of, until
from counterfoil.cli.errors import remark, warn
from counterfoil.cli.output import say, say_json
from counterfoil.cli.tables import Columns, show_list
from counterfoil.client.documents import Alert, Bearer, Children, Happening, Issued, Token, TokenPlanned

_NEAR: Final = timedelta(days=7)


def show_token(token: Token, *, as_json: bool) -> None:
    """Print a token and the warnings about it."""
    show(token, _facts, as_json=as_json)
    _warn_of_expiry(token)
    _warn_of_request(token)


def show_issued(issued: Issued, *, quiet: bool, as_json: bool) -> None:
    """Print a token, its secret first, and say that the secret is not shown again; if quiet, only the secret."""
    if quiet:
        show_secret(issued)
    elif as_json:
        say_json(issued)
    else:
        show_facts([("secret", issued.secret), *_facts(issued.token)])
        remark(_afterwards(issued))
        if issued.ended_early is not UNSET:
            remark(f"An earlier secret, which was to be good until {time_of(issued.ended_early)}, has ended now.")
    if not quiet:
        _warn_of_expiry(issued.token)
    _warn_of_request(issued.token)


def show_secret(issued: Issued) -> None:
    """Print only the secret; of a token without a secret, its id."""
    say(f"{issued.secret or issued.token.id}\n")


def show_bearer(bearer: Bearer, *, quiet: bool, as_json: bool) -> None:
    """Print a bearer; if quiet, without the facts about it."""
    if quiet:
        say(f"{bearer.access_token}\n")
    else:
        show(bearer, _bearer_facts, as_json=as_json)


def show_children(children: Children | UnsetType, maker: str, *, as_json: bool) -> None:
    """Print what becomes of the tokens that a revoked token or removed user made."""
    if as_json or children is UNSET:
        return
    if children.living:
        warn(
            f"{children.living:,} tokens that it made live on; see them with: counterfoil token list --creator {maker};"
            " repeat this command with --with-children to end them, and what they made"
        )
    if children.sample:
        show_list(children.sample, PLANNED, as_json=False)
    if children.ending is not UNSET and children.revocation is UNSET:
        remark(f"Nothing was changed. {children.ending:,} tokens that it made, at any depth, would end with it.")
    if children.revocation is not UNSET:
        remark(
            f"{children.ending:,} tokens that it made, at any depth, are being revoked; watch it with:"
            f" counterfoil token revocations watch {children.revocation}"
        )
    if children.left_alone:
        warn(f"{children.left_alone:,} tokens that it made belong to owners whose tokens you may not end: left alone")


def _afterwards(issued: Issued) -> str:
    if issued.token.trust is not None:
        return f"It has no secret: exchange a JWT at /v1/oauth/token, with client_id={issued.token.id}."
    return "Keep the secret now: it is not shown again."


def _warn_of_expiry(token: Token) -> None:
    if token.status != "active" or token.expires_at is None or token.as_of is not UNSET:
        return
    left, lifetime = token.expires_at - datetime.now(UTC), token.expires_at - token.created_at
    if left < min(_NEAR, lifetime / 4):  # a token of one hour is not about to expire in its first minute
        warn(f"token {token.number} expires in {span(left)}; renew it with: counterfoil token renew {token.number}")


def _warn_of_request(token: Token) -> None:
    for warning in token.warnings or ():
        warn(warning.detail)


def _bearer_facts(bearer: Bearer) -> Facts:
    return [
        ("bearer", bearer.access_token), ("scopes", bearer.scope), ("id", str(bearer.jti)),
        ("expires", f"in {span(timedelta(seconds=bearer.expires_in))}"),
    ]  # fmt: skip


def _facts(token: Token) -> Facts:
    at = token.as_of.at if token.as_of else None
    return [
        ("number", str(token.number)), ("id", str(token.id)), ("name", token.name or "(erased)"),
        ("status", _status(token)), ("owner", owner_of(token.owner)), ("scopes", " ".join(token.scopes) or "(none)"),
        ("effective", " ".join(token.effective_scopes) or "(none)" if token.effective_scopes != token.scopes else ""),
        ("expires", until(token.expires_at, at)),
        ("lifetime", token.lifetime or ""), ("description", token.description),
        ("metadata", " ".join(f"{key}={value}" for key, value in token.metadata.items())),
        ("networks", " ".join(token.networks)), ("rate limit", token.rate_limit or ""),
        ("uses", _uses(token)),
        *_trust_facts(token),
        ("created", f"{time_of(token.created_at)} by {actor_of(token.creator)}"),
        ("last used", "" if at else time_of(token.last_used_at) or "never"),
        ("last exchanged", time_of(token.last_exchanged_at) or "never"),
        ("generation", str(token.generation)), ("secret begins", token.hint),
        ("previous secret", f"good until {time_of(ends)}" if (ends := token.previous_secret_until) else ""),
        ("reason", token.reason or ""), ("revision", str(token.revision)), ("as of", _as_of(token)),
    ]  # fmt: skip


def _uses(token: Token) -> str:
    if token.max_uses is None:
        return ""
    return f"at most {token.max_uses}" + ("" if token.uses_left is None else f", {token.uses_left} left")


def _trust_facts(token: Token) -> Facts:
    if token.trust is None:
        return []
    claims = (f"{name}={value}" for name, values in token.trust.claims.items() for value in values)
    once = ", each JWT once" if token.trust.once else ""
    by = f" by {actor_of(token.trust_by)}" if token.trust_by else ""
    return [("trusts", f"{token.trust.issuer} for {token.trust.audience}{once}{by}"), ("if", " ".join(claims))]


def _as_of(token: Token) -> str:
    if token.as_of is UNSET:
        return ""
    event, subject = token.as_of.decided_by, token.as_of.subject
    whose = "" if subject.kind == "token" else f" of {subject.kind} {subject.id}"
    return f"{time_of(token.as_of.at)}, decided by {event.type} (version {event.version}{whose})"


def _status(token: Token) -> str:
    """Return the status, and why the secret of an active token is refused."""
    return f"active, but {token.refused}" if token.status == "active" and token.refused else token.status


def _ago(moment: datetime | None) -> str:
    return "never" if moment is None else f"{span(datetime.now(UTC) - moment)} ago"


def _end_of(alert: Alert) -> datetime | None:
    """Return when the token expires, or when its previous secret ends."""
    return alert.previous_secret.good_until if alert.previous_secret else alert.token.expires_at


def _owner_status(alert: Alert) -> str:
    return f" ({alert.owner_status})" if alert.owner_status == "disabled" else ""


TOKENS: Final[Columns[Token]] = {
    "no.": lambda token: str(token.number),
    "name": lambda token: token.name or "(erased)",
    "status": _status,
    "expires": lambda token: until(token.expires_at),
    "last used": lambda token: _ago(token.last_used_at),
    "owner": lambda token: owner_of(token.owner),
    "scopes": lambda token: " ".join(token.scopes),
}
PLANNED: Final[Columns[TokenPlanned]] = {
    "no.": lambda token: str(token.number),
    "name": lambda token: token.name or "(erased)",
    "owner": lambda token: owner_of(token.owner),
    "last used": lambda token: time_of(token.last_used_at) or "never",
}
EVENTS: Final[Columns[Happening]] = {
    "version": lambda event: str(event.version),
    "at": lambda event: time_of(event.at),
    "what": lambda event: event.type,
    "by": lambda event: actor_of(event.by),
    "says": lambda event: fields_of({**event.data, **(event.private or {})}),
}
ALERTS: Final[Columns[Alert]] = {
    "no.": lambda alert: str(alert.token.number),
    "name": lambda alert: alert.token.name or "(erased)",
    "what": lambda alert: alert.kind.replace("_", " "),
    "ends": lambda alert: until(_end_of(alert)),
    "uses in 7 days": lambda alert: str(alert.recent_uses),
    "last used": lambda alert: _ago(alert.token.last_used_at),
    "owner": lambda alert: owner_of(alert.token.owner) + _owner_status(alert),
    "announced": lambda alert: time_of(alert.at) or "no notice",
    "scopes": lambda alert: " ".join(alert.token.scopes),
}
