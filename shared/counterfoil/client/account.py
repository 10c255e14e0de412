"""The calls about the account and its catalogue of scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import (
    Account,
    AccountEvent,
    Attempt,
    Dialect,
    OwnerQuota,
    Policy,
    Reading,
    Scope,
    ScopeSet,
)
from counterfoil.client.wire import Call
from counterfoil.documents.dialects import DialectList


class OwnAccount(Calls):
    """Read and change the caller's account."""

    async def account(self) -> Account:
        """Return the account."""
        return await self.fetched(Account, "/v1/account")

    async def update_account(
        self, policy: Policy, *, shut_me_out: bool = False, if_match: int | None = None
    ) -> Account:
        """Replace the account's policy."""
        body = spelling.body(policy=policy, shut_me_out=shut_me_out)
        return await self.changed(Account, "/v1/account", body, method="PATCH", if_match=if_match)

    async def dialects(self) -> list[Dialect]:
        """Return the vendors' APIs that the service implements."""
        return (await self.fetched(DialectList, "/v1/dialects")).items

    async def end_secrets(self, *, reason: str) -> Account:
        """Revoke every secret and every bearer of the account at once, this client's own included."""
        # A repeated try also revokes newer secrets; no key is needed, and its reply could not be read again.
        call = Call("POST", "/v1/account/end-secrets", body=spelling.body(reason=reason))
        return await self.sent(Account, call)

    def account_events(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[AccountEvent]:
        """Yield the events of the account, its users and its catalogue, the newest first, with their changes.

        `since` and `until` are moments, dates, or durations back from now such as 7d.
        """
        query = spelling.query_of(since=since, until=until)
        return self.pages("/v1/account/events", query, AccountEvent, limit=limit)

    def attempts(
        self,
        *,
        kind: str | None = None,
        subject: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Attempt]:
        """Yield failed attempts on the account, the latest first; `subject` names one user or token.

        `since` and `until` are moments, dates, or durations back from now such as 7d.
        """
        query = spelling.query_of(kind=kind, subject=subject, since=since, until=until)
        return self.pages("/v1/attempts", query, Attempt, limit=limit)

    def reads(
        self,
        *,
        reader: UUID | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Reading]:
        """Yield reads of what is not the reader's own, the newest first; with `reader`, those of one user or token.

        `since` and `until` are moments, dates, or durations back from now such as 7d.
        """
        query = spelling.query_of(reader=reader, since=since, until=until)
        return self.pages("/v1/reads", query, Reading, limit=limit)

    def scopes(self, *, limit: int | None = None) -> AsyncIterator[Scope]:
        """Yield the scopes of the catalogue, the built-in ones first."""
        return self.pages("/v1/scopes", {}, Scope, limit=limit)

    async def describe_scope(self, scope: str, sentence: str, *, documentation: str | None = None) -> Scope:
        """Describe a scope in the catalogue."""
        body = spelling.body(sentence=sentence, documentation=documentation)
        return await self.changed(Scope, _path("scopes", scope), body, method="PUT")

    async def remove_scope(self, scope: str) -> Scope:
        """Remove a scope from the catalogue."""
        return await self.changed(Scope, _path("scopes", scope), b"", method="DELETE")

    def scope_sets(self, *, limit: int | None = None) -> AsyncIterator[ScopeSet]:
        """Yield the sets of scopes that are granted together, the built-in ones first."""
        return self.pages("/v1/scope-sets", {}, ScopeSet, limit=limit)

    async def define_scope_set(self, name: str, scopes: Sequence[str], *, sentence: str = "") -> ScopeSet:
        """Define a set of scopes under a name."""
        body = spelling.body(scopes=scopes, sentence=sentence)
        return await self.changed(ScopeSet, _path("scope-sets", name), body, method="PUT")

    async def remove_scope_set(self, name: str) -> ScopeSet:
        """Remove a set from the catalogue."""
        return await self.changed(ScopeSet, _path("scope-sets", name), b"", method="DELETE")

    def owner_quotas(self, *, limit: int | None = None) -> AsyncIterator[OwnerQuota]:
        """Yield the quotas of owners, by the owner's type and id."""
        return self.pages("/v1/owner-quotas", {}, OwnerQuota, limit=limit)

    async def owner_quota(self, owner: tuple[str, str]) -> OwnerQuota:
        """Return the quota of an owner, which is a type (user, application or service) and an id."""
        return await self.fetched(OwnerQuota, _quota(owner))

    async def set_owner_quota(
        self,
        owner: tuple[str, str],
        *,
        rate_limit: str | None = None,
        max_uses: int | None = None,
        max_tokens: int | None = None,
        if_match: int | None = None,
    ) -> OwnerQuota:
        """Set the quota of an owner, in place of any other; None means any number."""
        body = spelling.body(rate_limit=rate_limit, max_uses=max_uses, max_tokens=max_tokens)
        return await self.changed(OwnerQuota, _quota(owner), body, method="PUT", if_match=if_match)

    async def remove_owner_quota(self, owner: tuple[str, str], *, if_match: int | None = None) -> OwnerQuota:
        """Remove the quota of an owner."""
        return await self.changed(OwnerQuota, _quota(owner), b"", method="DELETE", if_match=if_match)


def _quota(owner: tuple[str, str]) -> str:
    return f"/v1/owners/{quote(owner[0], safe='')}/{quote(owner[1], safe='')}/quota"


def _path(collection: str, name: str) -> str:
    return f"/v1/{collection}/{quote(name, safe='')}"
