"""The output of commands: tables for people, JSON for programs, and no control characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import UNSET, UnsetType

from counterfoil.cli.errors import printable, remark, warn
from counterfoil.cli.output import json_of, say, say_json
from counterfoil.cli.tables import table
from counterfoil.client import Alert, Bearer, Children, Happening, Issued, Token
from counterfoil.client.documents import Actor, TokenPlanned

_NEAR: Final = timedelta(days=7)


def show(value: Token | Issued | Bearer, *, as_json: bool) -> None:
    """Print one document, its secret first, and say that the secret is not shown again."""
    if as_json:
        say_json(value)
    else:
        match value:
            case Token():
                facts(_told(value))
            case Issued(token=token, secret=secret):
                facts([("secret", secret.plain)])
                facts(_told(token))
            case Bearer():
                facts([("bearer", value.access_token.plain), ("scopes", value.scope), ("id", str(value.jti)),
                        ("expires", f"in {span(timedelta(seconds=value.expires_in))}")])  # fmt: skip
    if isinstance(value, Issued) and not as_json:
        remark(_afterwards(value))
        if value.ended_early is not UNSET:
            remark(f"An earlier secret, which was to be good until {time_of(value.ended_early)}, has ended now.")
    if isinstance(value, Token | Issued):
        _warn_of(value if isinstance(value, Token) else value.token)


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
        show_planned(children.sample)
    if children.ending is not UNSET and children.revocation is UNSET:
        remark(f"Nothing was changed. {children.ending:,} tokens that it made, at any depth, would end with it.")
    if children.revocation is not UNSET:
        remark(
            f"{children.ending:,} tokens that it made, at any depth, are being revoked; watch it with:"
            f" counterfoil token revocations watch {children.revocation}"
        )
    if children.left_alone:
        warn(f"{children.left_alone:,} tokens that it made belong to owners whose tokens you may not end: left alone")


def show_planned(tokens: Sequence[TokenPlanned]) -> None:
    """Print tokens that would end, as a table."""
    table(
        ("no.", "name", "owner", "last used"),
        (
            (str(t.number), t.name or "(erased)", f"{t.owner.type}:{t.owner.id}", time_of(t.last_used_at) or "never")
            for t in tokens
        ),
    )


def show_secret(value: Issued | Bearer) -> None:
    """Print only the secret or the bearer; of a token without a secret, its id."""
    if isinstance(value, Issued) and value.token.trust is not None:
        say(f"{value.token.id}\n")
    else:
        say((value.secret if isinstance(value, Issued) else value.access_token).plain + "\n")


def _afterwards(issued: Issued) -> str:
    if issued.token.trust is not None:
        return f"It has no secret: exchange a JWT at /v1/oauth/token, with client_id={issued.token.id}."
    return "Keep the secret now: it is not shown again."


def _warn_of(token: Token) -> None:
    if token.status != "active" or token.expires_at is None or token.as_of is not UNSET:
        return
    left, lifetime = token.expires_at - datetime.now(UTC), token.expires_at - token.created_at
    if left < min(_NEAR, lifetime / 4):  # a token of one hour is not about to expire in its first minute
        warn(f"token {token.number} expires in {span(left)}; renew it with: counterfoil token renew {token.number}")


def _uses(token: Token) -> str:
    if token.max_uses is None:
        return ""
    return f"at most {token.max_uses}" + ("" if token.uses_left is None else f", {token.uses_left} left")


def _told(token: Token) -> list[tuple[str, str]]:
    at = token.as_of.at if token.as_of else None
    lines = [
        ("number", str(token.number)), ("id", str(token.id)), ("name", token.name or "(erased)"),
        ("status", _standing(token)), ("owner", f"{token.owner.type}:{token.owner.id}"),
        ("scopes", " ".join(token.scopes) or "(none)"),
        ("effective", " ".join(token.effective_scopes) or "(none)" if token.effective_scopes != token.scopes else ""),
        ("expires", _until(token.expires_at, at)),
        ("lifetime", token.lifetime or ""), ("description", token.description),
        ("metadata", " ".join(f"{key}={value}" for key, value in token.metadata.items())),
        ("networks", " ".join(token.networks)), ("rate limit", token.rate_limit or ""),
        ("uses", _uses(token)),
        *_trust_told(token),
        ("created", f"{time_of(token.created_at)} by {actor_of(token.creator)}"),
        ("last used", "" if at else time_of(token.last_used_at) or "never"),
        ("last exchanged", time_of(token.last_exchanged_at) or "never"),
        ("generation", str(token.generation)), ("secret begins", token.hint),
        ("previous secret", f"good until {time_of(until)}" if (until := token.previous_secret_until) else ""),
        ("reason", token.reason or ""), ("revision", str(token.revision)),
    ]  # fmt: skip
    if token.as_of is not UNSET:
        event, subject = token.as_of.decided_by, token.as_of.subject
        whose = "" if subject.kind == "token" else f" of {subject.kind} {subject.id}"
        lines.append(("as of", f"{time_of(at)}, decided by {event.type} (version {event.version}{whose})"))
    return [(name, value) for name, value in lines if value]


def _trust_told(token: Token) -> list[tuple[str, str]]:
    if token.trust is None:
        return []
    claims = (f"{name}={value}" for name, values in token.trust.claims.items() for value in values)
    once = ", each JWT once" if token.trust.once else ""
    by = f" by {actor_of(token.trust_by)}" if token.trust_by else ""
    return [("trusts", f"{token.trust.issuer} for {token.trust.audience}{once}{by}"), ("if", " ".join(claims))]


def _standing(token: Token) -> str:
    """Return the status, and why the secret of an active token is refused."""
    return f"active, but {token.refused}" if token.status == "active" and token.refused else token.status


def facts(lines: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one a line, without empty values."""
    # Plain lines, not a table: a table would wrap or cut secrets and ids.
    say("".join(f"{name:<16}{printable(value)}\n" for name, value in lines if value))


def show_tokens(tokens: Sequence[Token]) -> None:
    """Print tokens as a table."""
    table(
        ("no.", "name", "status", "expires", "last used", "owner", "scopes"),
        (
            (str(t.number), t.name or "(erased)", _standing(t), _until(t.expires_at), _ago(t.last_used_at),
             f"{t.owner.type}:{t.owner.id}", " ".join(t.scopes))
            for t in tokens
        ),
    )  # fmt: skip


def show_events(events: Sequence[Happening]) -> None:
    """Print events as a table."""
    table(
        ("version", "at", "what", "by", "says"),
        (
            (
                str(e.version),
                time_of(e.at),
                e.type,
                actor_of(e.by),
                says({**e.data, **(e.private or {})}),
            )
            for e in events
        ),
    )


def actor_of(actor: Actor) -> str:
    """Return an actor's name, or its id if it has no name any more."""
    if actor.kind == "user" and actor.name:
        return actor.name
    if not actor.number:
        return actor.kind if actor.kind == "system" else f"{actor.kind} {actor.id}"
    return f"{actor.kind} {actor.number} {actor.name or '(erased)'}"


def says(data: dict[str, object]) -> str:
    """Return the fields of an event in one line."""
    parts = (
        (name, value if isinstance(value, str) else json_of(value))
        for name, value in data.items()
        if value or value == 0
    )
    return ", ".join(f"{name} {value}" for name, value in parts)


def show_alerts(alerts: Sequence[Alert]) -> None:
    """Print alerts as a table."""
    table(
        ("no.", "name", "expires", "uses in 7 days", "owner", "announced"),
        (
            (str(a.token.number), a.token.name or "(erased)", _until(a.token.expires_at), str(a.recent_uses),
             _owner_of(a), time_of(a.at) or "no notice")
            for a in alerts
        ),
    )  # fmt: skip


def _owner_of(alert: Alert) -> str:
    """Return the owner, and whether they are disabled."""
    owner = f"{alert.token.owner.type}:{alert.token.owner.id}"
    return owner if alert.owner_status == "active" else f"{owner} ({alert.owner_status})"


def time_of(moment: datetime | None) -> str:
    """Return a moment as text; empty for None."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _ago(moment: datetime | None) -> str:
    return "never" if moment is None else f"{span(datetime.now(UTC) - moment)} ago"


def _until(moment: datetime | None, at: datetime | None = None) -> str:
    if moment is None:
        return "never"
    left = moment - (at or datetime.now(UTC))
    return f"{time_of(moment)} ({f'in {span(left)}' if left > timedelta(0) else f'{span(-left)} ago'})"


def span(time: timedelta) -> str:
    """Return a time in the largest unit of which it has at least two: `3 d`, `90 min`."""
    seconds = max(0, int(time.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{round(seconds / length)} {unit}"
    return f"{seconds} s"
