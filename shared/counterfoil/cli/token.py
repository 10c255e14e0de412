"""`counterfoil token`: the commands that issue and change tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from counterfoil.cli import bulk_revocation, import_tokens, lists, options, whoami
from counterfoil.cli.calls import ask, fresh_key
from counterfoil.cli.completion import scope_sets
from counterfoil.cli.display import show, show_children, show_secret
from counterfoil.cli.errors import told_again_by, warn
from counterfoil.cli.options import (
    AsJson,
    Credentials,
    DryRun,
    ExpiresAt,
    IfMatch,
    Key,
    Lifetime,
    MaxUses,
    Metadata,
    Networks,
    OwnerText,
    Quiet,
    RateLimit,
    Ref,
    Scopes,
    WithChildren,
)
from counterfoil.cli.trust_options import Once, TrustAudience, TrustClaims, TrustIssuer, trust
from counterfoil.client import Bearer, Client, Issued, Token

app = typer.Typer(help="Issue, show, change and revoke tokens.", no_args_is_help=True)
app.command("list")(lists.tokens)
app.command("show")(lists.token)
app.command("events")(lists.events)
app.command("revoke-many")(bulk_revocation.revoke_many)
app.command("import")(import_tokens.import_file)
app.command()(whoami.introspect)
app.add_typer(bulk_revocation.app, name="revocations")


def _shown(
    call: Callable[[Client], Awaitable[Token | Issued | Bearer]],
    credentials: Path | None,
    *,
    as_json: bool,
    quiet: bool = False,
) -> None:
    value = ask(call, credentials=credentials, as_json=as_json)
    if quiet and not isinstance(value, Token):
        show_secret(value)
    else:
        show(value, as_json=as_json)
    if not isinstance(value, Bearer):
        for advice in (value if isinstance(value, Token) else value.token).warnings or ():
            warn(advice.detail)


def _issued(
    call: Callable[[Client, str], Awaitable[Issued]],
    key: str | None,
    credentials: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    key = key or fresh_key()
    with told_again_by(key):
        _shown(lambda ledger: call(ledger, key), credentials, as_json=as_json, quiet=quiet)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The token's name, such as nightly-backup.")],
    *,
    scopes: Scopes = None,
    scope_set: Annotated[
        list[str] | None,
        typer.Option(help="A set of scopes by its name; may be repeated.", autocompletion=scope_sets),
    ] = None,
    owner: OwnerText = None,
    description: Annotated[str, typer.Option(help="Its purpose.")] = "",
    metadata: Metadata = None,
    networks: Networks = None,
    rate_limit: RateLimit = None,
    max_uses: MaxUses = None,
    trust_issuer: TrustIssuer = None,
    trust_audience: TrustAudience = None,
    trust_claim: TrustClaims = None,
    once: Once = False,
    lifetime: Lifetime = None,
    expires_at: ExpiresAt = None,
    key: Key = None,
    credentials: Credentials = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Issue a token. Its secret is printed once; a token with a trust has none, and --quiet prints its id."""
    whose, more = options.owner(owner), options.metadata(metadata)
    trusted = trust(trust_issuer, trust_audience, trust_claim, once=once)
    _issued(
        lambda ledger, key: ledger.create(
            name, scopes=scopes or (), scope_sets=scope_set or (), owner=whose, description=description,
            metadata=more, networks=options.networks(networks) or (),
            rate_limit=None if rate_limit == "none" else rate_limit,
            max_uses=options.stated_number(max_uses), trust=trusted, lifetime=lifetime, expires_at=expires_at,
            idempotency_key=key,
        ),
        key, credentials, as_json=as_json, quiet=quiet,
    )  # fmt: skip


@app.command()
def clone(
    ref: Ref,
    *,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
    scopes: Scopes = None,
    owner: OwnerText = None,
    networks: Networks = None,
    rate_limit: RateLimit = None,
    max_uses: MaxUses = None,
    lifetime: Lifetime = None,
    expires_at: ExpiresAt = None,
    key: Key = None,
    credentials: Credentials = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Issue a copy of a token; the stated fields differ."""
    whose = options.owner(owner)
    _issued(
        lambda ledger, key: ledger.clone(
            ref, name=name, scopes=scopes, owner=whose, networks=options.networks(networks), rate_limit=rate_limit,
            max_uses=options.number(max_uses), lifetime=lifetime, expires_at=expires_at, idempotency_key=key,
        ),
        key, credentials, as_json=as_json, quiet=quiet,
    )  # fmt: skip


@app.command()
def rotate(
    ref: Ref,
    *,
    grace: Annotated[
        str | None,
        typer.Option(
            show_default="required", help="How long the present secret is still accepted: 24h, or 0s for no longer."
        ),
    ] = None,
    ends_previous: Annotated[
        bool,
        typer.Option(
            "--ends-previous",
            help="End a secret from an earlier grace: at most two are accepted at once.",
        ),
    ] = False,
    lifetime: Lifetime = None,
    expires_at: ExpiresAt = None,
    if_match: IfMatch = None,
    key: Key = None,
    credentials: Credentials = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Give a token a new secret, printed once. Only an expired token takes a new lifetime with it."""
    if grace is None:
        raise typer.BadParameter("Say how long the present secret stays good: --grace 24h, or --grace 0s.")
    _issued(
        lambda ledger, key: ledger.rotate(
            ref, grace=grace, ends_previous=ends_previous, lifetime=lifetime, expires_at=expires_at,
            if_match=if_match, idempotency_key=key,
        ),
        key, credentials, as_json=as_json, quiet=quiet,
    )  # fmt: skip


@app.command()
def update(
    ref: Ref,
    *,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
    description: Annotated[str | None, typer.Option(help="The new description.")] = None,
    scopes: Scopes = None,
    metadata: Metadata = None,
    networks: Networks = None,
    rate_limit: RateLimit = None,
    max_uses: MaxUses = None,
    trust_issuer: TrustIssuer = None,
    trust_audience: TrustAudience = None,
    trust_claim: TrustClaims = None,
    once: Once = False,
    if_match: IfMatch = None,
    key: Key = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Change fields of a token; scopes, metadata, networks and the trust are replaced as a whole."""
    more = options.metadata(metadata)
    trusted = trust(trust_issuer, trust_audience, trust_claim, once=once)
    _shown(
        lambda ledger: ledger.update(
            ref, name=name, description=description, scopes=scopes, metadata=more,
            networks=options.networks(networks), rate_limit=rate_limit, trust=trusted,
            max_uses=options.number(max_uses), if_match=if_match, idempotency_key=key,
        ),
        credentials, as_json=as_json,
    )  # fmt: skip


@app.command()
def renew(
    ref: Ref,
    *,
    lifetime: Lifetime = None,
    expires_at: ExpiresAt = None,
    if_match: IfMatch = None,
    key: Key = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Move a token's expiry; its secret stays. Without a lifetime it is renewed for its own."""
    _shown(
        lambda ledger: ledger.renew(
            ref, lifetime=lifetime, expires_at=expires_at, if_match=if_match, idempotency_key=key
        ),
        credentials, as_json=as_json,
    )  # fmt: skip


@app.command()
def suspend(
    ref: Ref,
    *,
    reason: Annotated[str, typer.Option(help="The reason, for the log.")] = "",
    if_match: IfMatch = None,
    key: Key = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Suspend a token: the API refuses it until it is resumed."""
    _shown(
        lambda ledger: ledger.suspend(ref, reason=reason, if_match=if_match, idempotency_key=key),
        credentials, as_json=as_json,
    )  # fmt: skip


@app.command()
def resume(
    ref: Ref, *, if_match: IfMatch = None, key: Key = None, credentials: Credentials = None, as_json: AsJson = False
) -> None:
    """Resume a suspended token."""
    _shown(lambda ledger: ledger.resume(ref, if_match=if_match, idempotency_key=key), credentials, as_json=as_json)


@app.command()
def revoke(
    ref: Ref,
    *,
    reason: Annotated[str, typer.Option(help="The reason, for the log.")],
    with_children: WithChildren = False,
    dry_run: DryRun = False,
    if_match: IfMatch = None,
    credentials: Credentials = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a token for good, and with --with-children all tokens that it made."""
    ended = ask(
        lambda ledger: ledger.revoke(
            ref, reason=reason, with_children=with_children, dry_run=dry_run, if_match=if_match
        ),
        credentials=credentials, as_json=as_json,
    )  # fmt: skip
    show(ended, as_json=as_json)
    show_children(ended.children, f"token:{ended.number}", as_json=as_json)


@app.command()
def exchange(
    *,
    audience: Annotated[list[str] | None, typer.Option(help="The audience of the bearer; may be repeated.")] = None,
    scopes: Scopes = None,
    lifetime: Annotated[str | None, typer.Option(help="Its longest lifetime, such as 5m.")] = None,
    credentials: Credentials = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Exchange your own token (COUNTERFOIL_TOKEN) for a short-lived bearer."""
    _shown(
        lambda ledger: ledger.exchange(audience=audience or (), scopes=scopes, lifetime=lifetime),
        credentials,
        as_json=as_json,
        quiet=quiet,
    )
