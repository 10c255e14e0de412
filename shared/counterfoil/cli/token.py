"""`counterfoil token`: the commands that issue and change tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from counterfoil.cli import bulk_revocation, import_tokens, lists, options, rotations, whoami
from counterfoil.cli.commands import Commands
from counterfoil.cli.completion import scope_sets
from counterfoil.cli.ledger import IssuingLedger, Ledger
from counterfoil.cli.options import (
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
from counterfoil.cli.token_display import show_bearer, show_children
from counterfoil.cli.trust_options import TrustOptions

app = Commands(help="Issue, show, change and revoke tokens.", no_args_is_help=True)
app.command("list")(lists.tokens)
app.command("show")(lists.token)
app.command("events")(lists.events)
app.command("rotation")(rotations.rotation)
app.command("confirm-rotation")(rotations.confirm_rotation)
app.command("extend-grace")(rotations.extend_grace)
app.command("revoke-many")(bulk_revocation.revoke_many)
app.command("import")(import_tokens.import_file)
app.command()(whoami.introspect)
app.add_typer(bulk_revocation.app, name="revocations")


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
    trust: TrustOptions,
    lifetime: Lifetime = None,
    expires_at: ExpiresAt = None,
    ledger: IssuingLedger,
) -> None:
    """Issue a token. Its secret is printed once; a token with a trust has none, and --quiet prints its id."""
    whose, more, trusted = options.owner(owner), options.metadata(metadata), trust.stated()
    ledger.issue(
        lambda api, key: api.create(
            name, scopes=scopes or (), scope_sets=scope_set or (), owner=whose, description=description,
            metadata=more, networks=options.networks(networks) or (),
            rate_limit=None if rate_limit == "none" else rate_limit,
            max_uses=options.stated_number(max_uses), trust=trusted, lifetime=lifetime, expires_at=expires_at,
            idempotency_key=key,
        )
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
    ledger: IssuingLedger,
) -> None:
    """Issue a copy of a token; the stated fields differ."""
    whose = options.owner(owner)
    ledger.issue(
        lambda api, key: api.clone(
            ref, name=name, scopes=scopes, owner=whose, networks=options.networks(networks), rate_limit=rate_limit,
            max_uses=options.number(max_uses), lifetime=lifetime, expires_at=expires_at, idempotency_key=key,
        )
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
        typer.Option("--ends-previous", help="End a secret from an earlier grace: at most two are accepted at once."),
    ] = False,
    lifetime: Lifetime = None,
    expires_at: ExpiresAt = None,
    if_match: IfMatch = None,
    ledger: IssuingLedger,
) -> None:
    """Give a token a new secret, printed once. Only an expired token takes a new lifetime with it."""
    if grace is None:
        raise typer.BadParameter("Say how long the present secret stays good: --grace 24h, or --grace 0s.")
    ledger.issue(
        lambda api, key: api.rotate(
            ref, grace=grace, ends_previous=ends_previous, lifetime=lifetime, expires_at=expires_at,
            if_match=if_match, idempotency_key=key,
        )
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
    trust: TrustOptions,
    if_match: IfMatch = None,
    key: Key = None,
    ledger: Ledger,
) -> None:
    """Change fields of a token; scopes, metadata, networks and the trust are replaced as a whole."""
    more, trusted = options.metadata(metadata), trust.stated()
    ledger.show_token(
        lambda api: api.update(
            ref, name=name, description=description, scopes=scopes, metadata=more,
            networks=options.networks(networks), rate_limit=rate_limit, trust=trusted,
            max_uses=options.number(max_uses), if_match=if_match, idempotency_key=key,
        )
    )  # fmt: skip


@app.command()
def renew(
    ref: Ref,
    *,
    lifetime: Lifetime = None,
    expires_at: ExpiresAt = None,
    if_match: IfMatch = None,
    key: Key = None,
    ledger: Ledger,
) -> None:
    """Move a token's expiry; its secret stays. Without a lifetime it is renewed for its own."""
    ledger.show_token(
        lambda api: api.renew(ref, lifetime=lifetime, expires_at=expires_at, if_match=if_match, idempotency_key=key)
    )


@app.command()
def suspend(
    ref: Ref,
    *,
    reason: Annotated[str, typer.Option(help="The reason, for the log.")] = "",
    if_match: IfMatch = None,
    key: Key = None,
    ledger: Ledger,
) -> None:
    """Suspend a token: the API refuses it until it is resumed."""
    ledger.show_token(lambda api: api.suspend(ref, reason=reason, if_match=if_match, idempotency_key=key))


@app.command()
def resume(ref: Ref, *, if_match: IfMatch = None, key: Key = None, ledger: Ledger) -> None:
    """Resume a suspended token."""
    ledger.show_token(lambda api: api.resume(ref, if_match=if_match, idempotency_key=key))


@app.command()
def revoke(
    ref: Ref,
    *,
    reason: Annotated[str, typer.Option(help="The reason, for the log.")],
    with_children: WithChildren = False,
    dry_run: DryRun = False,
    if_match: IfMatch = None,
    ledger: Ledger,
) -> None:
    """Revoke a token for good, and with --with-children all tokens that it made."""
    revoked = ledger.show_token(
        lambda api: api.revoke(ref, reason=reason, with_children=with_children, dry_run=dry_run, if_match=if_match)
    )
    show_children(revoked.children, f"token:{revoked.number}", as_json=ledger.as_json)


@app.command()
def exchange(
    *,
    audience: Annotated[list[str] | None, typer.Option(help="The audience of the bearer; may be repeated.")] = None,
    scopes: Scopes = None,
    lifetime: Annotated[str | None, typer.Option(help="Its longest lifetime, such as 5m.")] = None,
    quiet: Quiet = False,
    ledger: Ledger,
) -> None:
    """Exchange your own token (COUNTERFOIL_TOKEN) for a short-lived bearer."""
    bearer = ledger.ask(lambda api: api.exchange(audience=audience or (), scopes=scopes, lifetime=lifetime))
    show_bearer(bearer, quiet=quiet, as_json=ledger.as_json)
