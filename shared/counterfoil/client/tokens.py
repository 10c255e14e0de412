"""The calls about tokens, secrets and bearers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import Bearer, Happening, Introspection, Issued, Rotation, Token
from counterfoil.client.spelling import Ref, Stated
from counterfoil.client.wire import Call
from counterfoil.core.trust import Trust


class Tokens(Calls):
    """Issue, read, change and revoke tokens."""

    async def create(
        self,
        name: str,
        *,
        scopes: Sequence[str] = (),
        scope_sets: Sequence[str] = (),
        owner: tuple[str, str] | None = None,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        networks: Sequence[str] = (),
        rate_limit: str | None = None,
        max_uses: int | None = None,
        trust: Trust | None = None,
        lifetime: str | None = None,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Issued:
        """Issue a token; `owner` is a type (user, application or service) and an id.

        `networks` (CIDR) say from where it may be used, `rate_limit` (such as 600/1m) how often,
        and `max_uses` how often in all.
        With a `trust` the token has no secret: JWTs of an issuer authenticate it.
        """
        body = spelling.body(
            name=name, scopes=scopes, scope_sets=scope_sets or None, owner=spelling.owner(owner),
            description=description, metadata=metadata, networks=networks or None, rate_limit=rate_limit,
            max_uses=max_uses, trust=trust, lifetime=lifetime, expires_at=expires_at,
        )  # fmt: skip
        return await self.changed(Issued, "/v1/tokens", body, key=idempotency_key)

    async def get(self, ref: Ref, *, as_of: datetime | int | None = None) -> Token:
        """Return a token as it is now, or as it was at a moment or at a version."""
        query = {} if as_of is None else {"as_of": spelling.text(as_of)}
        return await self.fetched(Token, spelling.path_of(ref), query)

    def list(self, *, limit: int | None = None, **query: Stated) -> AsyncIterator[Token]:
        """Yield tokens, fetching page after page, up to `limit`.

        Filters: name (a glob, in which a backslash escapes), status, owner_type, owner_id, creator (user:2, token:7 or
        an id), issuer (whose JWTs they trust), scope, metadata (a mapping),
        created_after, created_before, expires_after, expires_before,
        last_used_after, last_used_before, unused_since;
        sort (created, name, expires, …; `-` reverses). A time may also be a duration such as "7d": of an expiry that
        long from now, of all else that long ago.
        """
        return self.pages("/v1/tokens", query, Token, limit=limit)

    async def update(
        self,
        ref: Ref,
        *,
        name: str | None = None,
        description: str | None = None,
        scopes: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        networks: Sequence[str] | None = None,
        rate_limit: str | None = None,
        max_uses: int | Literal["none"] | None = None,
        trust: Trust | None = None,
        if_match: int | None = None,
        idempotency_key: str | None = None,
    ) -> Token:
        """Change fields of a token; None keeps a field, no networks mean anywhere, and `none` removes a limit."""
        body = spelling.body(
            name=name, description=description, scopes=scopes, metadata=metadata, networks=networks,
            rate_limit=spelling.limit(rate_limit), max_uses=spelling.limit(max_uses), trust=trust,
        )  # fmt: skip
        path = spelling.path_of(ref)
        return await self.changed(Token, path, body, method="PATCH", key=idempotency_key, if_match=if_match)

    async def renew(
        self,
        ref: Ref,
        *,
        lifetime: str | None = None,
        expires_at: datetime | None = None,
        keeps_lifetime: bool = False,
        if_match: int | None = None,
        idempotency_key: str | None = None,
    ) -> Token:
        """Move a token's expiry; with neither a lifetime nor an expiry it is renewed for its own lifetime.

        With `keeps_lifetime` a stated expiry does not replace the lifetime, which later renewals use.
        """
        body = spelling.body(lifetime=lifetime, expires_at=expires_at, keeps_lifetime=keeps_lifetime or None)
        return await self.changed(Token, spelling.path_of(ref, "renew"), body, key=idempotency_key, if_match=if_match)

    async def rotate(
        self,
        ref: Ref,
        *,
        grace: str,
        ends_previous: bool = False,
        lifetime: str | None = None,
        expires_at: datetime | None = None,
        if_match: int | None = None,
        idempotency_key: str | None = None,
    ) -> Issued:
        """Give a token a new secret; the API accepts the old one for `grace` more (`0s`: not at all).

        The API accepts at most two secrets: `ends_previous` ends one from an earlier grace now.
        """
        body = spelling.body(grace=grace, ends_previous=ends_previous or None, lifetime=lifetime, expires_at=expires_at)
        return await self.changed(Issued, spelling.path_of(ref, "rotate"), body, key=idempotency_key, if_match=if_match)

    async def rotation(self, ref: Ref) -> Rotation:
        """Return a token's last rotation, and who has used the previous secret since."""
        return await self.fetched(Rotation, spelling.path_of(ref, "rotation"))

    async def confirm_rotation(
        self,
        ref: Ref,
        *,
        even_if_unused: bool = False,
        if_match: int | None = None,
        idempotency_key: str | None = None,
    ) -> Token:
        """End a token's previous secret now; while the new one was never used, only `even_if_unused`."""
        path, body = spelling.path_of(ref, "rotation/confirm"), spelling.body(even_if_unused=even_if_unused or None)
        return await self.changed(Token, path, body, key=idempotency_key, if_match=if_match)

    async def extend_grace(
        self, ref: Ref, *, grace: str, if_match: int | None = None, idempotency_key: str | None = None
    ) -> Token:
        """Let the API accept a token's previous secret for `grace` from now, which is longer than before."""
        path, body = spelling.path_of(ref, "rotation/extend"), spelling.body(grace=grace)
        return await self.changed(Token, path, body, key=idempotency_key, if_match=if_match)

    async def suspend(
        self, ref: Ref, *, reason: str = "", if_match: int | None = None, idempotency_key: str | None = None
    ) -> Token:
        """Suspend a token: the API refuses it until it is resumed."""
        body = spelling.body(reason=reason)
        return await self.changed(Token, spelling.path_of(ref, "suspend"), body, key=idempotency_key, if_match=if_match)

    async def resume(self, ref: Ref, *, if_match: int | None = None, idempotency_key: str | None = None) -> Token:
        """Resume a suspended token."""
        return await self.changed(
            Token, spelling.path_of(ref, "resume"), spelling.body(), key=idempotency_key, if_match=if_match
        )

    async def clone(
        self,
        ref: Ref,
        *,
        name: str | None = None,
        owner: tuple[str, str] | None = None,
        scopes: Sequence[str] | None = None,
        networks: Sequence[str] | None = None,
        rate_limit: str | None = None,
        max_uses: int | Literal["none"] | None = None,
        lifetime: str | None = None,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Issued:
        """Issue a copy of a token; the stated fields differ."""
        body = spelling.body(
            name=name, owner=spelling.owner(owner), scopes=scopes, networks=networks,
            rate_limit=spelling.limit(rate_limit), max_uses=spelling.limit(max_uses), lifetime=lifetime,
            expires_at=expires_at,
        )  # fmt: skip
        return await self.changed(Issued, spelling.path_of(ref, "clone"), body, key=idempotency_key)

    async def revoke(
        self,
        ref: Ref,
        *,
        reason: str,
        with_children: bool = False,
        dry_run: bool = False,
        if_match: int | None = None,
    ) -> Token:
        """Revoke a token for good, and with children all tokens that it made; a second call changes nothing.

        The reply's `children` counts the tokens that it made. A dry run changes nothing.
        """
        body = spelling.body(reason=reason, with_children=with_children or None, dry_run=dry_run or None)
        return await self.changed(Token, spelling.path_of(ref, "revoke"), body, if_match=if_match)

    def token_events(self, ref: Ref, *, sort: str = "version", limit: int | None = None) -> AsyncIterator[Happening]:
        """Yield the events of a token, the oldest first, or with `-version` the newest."""
        return self.pages(spelling.path_of(ref, "events"), {"sort": sort}, Happening, limit=limit)

    async def exchange(
        self, *, audience: Sequence[str] = (), scopes: Sequence[str] | None = None, lifetime: str | None = None
    ) -> Bearer:
        """Exchange this client's own token for a short-lived bearer; without `scopes` it holds all of them."""
        body = spelling.body(audience=audience or None, scopes=scopes, lifetime=lifetime)
        # A repeated try issues a second bearer, which does no harm: no key is needed.
        return await self.sent(Bearer, Call("POST", "/v1/exchange", body=body))

    async def introspect(self, presented: str) -> Introspection:
        """Return whether the API accepts a secret or bearer now (RFC 7662)."""
        form, media_type = urlencode({"token": presented}).encode(), "application/x-www-form-urlencoded"
        call = Call("POST", "/v1/introspect", body=form, content_type=media_type)
        facts = await self.sent(dict[str, Any], call)
        return Introspection(facts.pop("active", False) is True, facts)
