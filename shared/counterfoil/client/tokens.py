"""The calls about tokens, secrets and bearers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import Alert, Bearer, Happening, Introspection, Issued, Token
from counterfoil.client.spelling import Ref, Stated
from counterfoil.client.wire import Call
from counterfoil.core.trust import Trust


class Tokens(Calls):
    """Issue, look at, change and end tokens."""

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
        `max_uses` how often in all.
        With a `trust` it has no secret: JWTs of an issuer open it.
        """
        body = spelling.body(
            name=name, scopes=scopes, scope_sets=scope_sets or None, owner=spelling.owner(owner),
            description=description, metadata=metadata, networks=networks or None, rate_limit=rate_limit,
            max_uses=max_uses, trust=trust, lifetime=lifetime, expires_at=expires_at,
        )  # fmt: skip
        return spelling.read(await self.change("/v1/tokens", body, key=idempotency_key), Issued)

    async def get(self, ref: Ref, *, as_of: datetime | int | None = None) -> Token:
        """Return a token as it is, or as it was at a moment or at a version."""
        query = {} if as_of is None else {"as_of": spelling.text(as_of)}
        return spelling.read(await self.wire.ask(Call("GET", spelling.path_of(ref), query)), Token)

    async def list(self, *, limit: int | None = None, **query: Stated) -> AsyncIterator[Token]:
        """Yield tokens, fetching page after page, up to `limit`.

        Filters: name (a glob, in which a backslash escapes), status, owner_type, owner_id, creator (user:2, token:7 or
        an id), issuer (whose JWTs they trust), scope, metadata (a mapping),
        created_after, created_before, expires_after, expires_before,
        last_used_after, last_used_before, unused_since;
        sort (created, name, expires, …; `-` reverses). A time may also be a duration such as "7d": of an expiry that
        long from now, of all else that long ago.
        """
        async for token in self.pages("/v1/tokens", query, Token, limit=limit):
            yield token

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
        """Change what is said of a token; what is None stays. No networks: anywhere; `none` lifts a limit."""
        body = spelling.body(
            name=name, description=description, scopes=scopes, metadata=metadata, networks=networks,
            rate_limit=spelling.limit(rate_limit), max_uses=spelling.limit(max_uses), trust=trust,
        )  # fmt: skip
        answer = await self.change(spelling.path_of(ref), body, method="PATCH", key=idempotency_key, if_match=if_match)
        return spelling.read(answer, Token)

    async def renew(
        self,
        ref: Ref,
        *,
        lifetime: str | None = None,
        expires_at: datetime | None = None,
        if_match: int | None = None,
        idempotency_key: str | None = None,
    ) -> Token:
        """Move a token's expiry; with neither a lifetime nor an expiry it is renewed for its own lifetime."""
        body = spelling.body(lifetime=lifetime, expires_at=expires_at)
        return spelling.read(
            await self.change(spelling.path_of(ref, "renew"), body, key=idempotency_key, if_match=if_match), Token
        )

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
        """Give a token a new secret; the old one stays good for `grace` (`0s`: not at all).

        At most two secrets are good at once: with `ends_previous` one from an earlier grace ends now.
        """
        body = spelling.body(grace=grace, ends_previous=ends_previous or None, lifetime=lifetime, expires_at=expires_at)
        return spelling.read(
            await self.change(spelling.path_of(ref, "rotate"), body, key=idempotency_key, if_match=if_match), Issued
        )

    async def suspend(
        self, ref: Ref, *, reason: str = "", if_match: int | None = None, idempotency_key: str | None = None
    ) -> Token:
        """Have a token refused for now."""
        body = spelling.body(reason=reason)
        return spelling.read(
            await self.change(spelling.path_of(ref, "suspend"), body, key=idempotency_key, if_match=if_match), Token
        )

    async def resume(self, ref: Ref, *, if_match: int | None = None, idempotency_key: str | None = None) -> Token:
        """Have a token accepted again."""
        return spelling.read(
            await self.change(spelling.path_of(ref, "resume"), spelling.body(), key=idempotency_key, if_match=if_match),
            Token,
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
        """Issue a token like another one, but for what is stated."""
        body = spelling.body(
            name=name, owner=spelling.owner(owner), scopes=scopes, networks=networks,
            rate_limit=spelling.limit(rate_limit), max_uses=spelling.limit(max_uses), lifetime=lifetime,
            expires_at=expires_at,
        )  # fmt: skip
        return spelling.read(await self.change(spelling.path_of(ref, "clone"), body, key=idempotency_key), Issued)

    async def revoke(
        self,
        ref: Ref,
        *,
        reason: str,
        with_children: bool = False,
        dry_run: bool = False,
        if_match: int | None = None,
    ) -> Token:
        """End a token for ever, and with children all that it made; doing so twice is as good as once.

        The reply's `children` say what it made. A dry run only looks.
        """
        body = spelling.body(reason=reason, with_children=with_children or None, dry_run=dry_run or None)
        return spelling.read(await self.change(spelling.path_of(ref, "revoke"), body, if_match=if_match), Token)

    async def token_events(
        self, ref: Ref, *, sort: str = "version", limit: int | None = None
    ) -> AsyncIterator[Happening]:
        """Yield what happened to a token: the oldest first, or with `-version` the newest."""
        pages = self.pages(spelling.path_of(ref, "events"), {"sort": sort}, Happening, limit=limit)
        async for happening in pages:
            yield happening

    async def alerts(
        self, *, within: str | None = None, creator: str | None = None, limit: int | None = None
    ) -> AsyncIterator[Alert]:
        """Yield expiries that were announced or have come, the most pressing first.

        With `within`, a duration such as 7d: every token that expires in that window or has expired within the last 30
        days, whether or not a notice was raised. With `creator`, such as user:2, of what that user or token made alone.
        """
        given = {"within": within, "creator": creator}
        query = {name: value for name, value in given.items() if value is not None}
        async for alert in self.pages("/v1/alerts", query, Alert, limit=limit):
            yield alert

    async def unannounced(self, *, creator: str | None = None) -> int:
        """Return how many tokens expire within a day without a notice, 1,000 at most; `alerts` has them by `within`."""
        query = {"limit": "1", **({} if creator is None else {"creator": creator})}
        page = spelling.read(await self.wire.ask(Call("GET", "/v1/alerts", query)), dict[str, Any])
        return int(page["unannounced"])

    async def exchange(
        self, *, audience: Sequence[str] = (), scopes: Sequence[str] | None = None, lifetime: str | None = None
    ) -> Bearer:
        """Exchange this client's own token for a short-lived bearer; without `scopes` it holds all of them."""
        body = spelling.body(audience=audience or None, scopes=scopes, lifetime=lifetime)
        # Tried twice it buys two bearers, of which one is thrown away: harmless, so no key is needed.
        return spelling.read(await self.wire.ask(Call("POST", "/v1/exchange", body=body)), Bearer)

    async def introspect(self, presented: str) -> Introspection:
        """Say whether a secret or bearer is good at this moment."""
        answer = await self.wire.ask(
            Call(
                "POST",
                "/v1/introspect",
                body=urlencode({"token": presented}).encode(),
                content_type="application/x-www-form-urlencoded",
            )
        )
        facts = spelling.read(answer, dict[str, Any])
        return Introspection(facts.pop("active", False) is True, facts)
