"""The calls about many tokens at once: bulk revocations, imports and reports of leaked secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from counterfoil.client import spelling
from counterfoil.client.calls import Calls
from counterfoil.client.documents import BulkRevocation, ImportReport, Plan
from counterfoil.client.spelling import Stated
from counterfoil.client.wire import Call

_PATIENCE_SECONDS: Final = 120.0
"""A plan over a million tokens takes this long."""
LEAK_LIMIT: Final = 1_000
"""Secrets in one report of leaked secrets."""
_REVOCATIONS: Final = "/v1/revocations"


class _Received(msgspec.Struct, frozen=True):
    received: int


class Bulk(Calls):
    """Revoke and import many tokens at once."""

    async def plan_revocation(self, **filters: Stated) -> Plan:
        """Return what a bulk revocation would revoke, and what would break; nothing is changed.

        Filters are those of `list`; `everything=True` means every token of the account, and `with_children=True` also
        the tokens that those made.
        """
        body = spelling.body(filter=_filter(filters))
        call = Call("POST", f"{_REVOCATIONS}/plan", body=body, patience_seconds=_PATIENCE_SECONDS)
        return await self.sent(Plan, call)

    async def revoke_many(
        self, plan: str, *, reason: str, idempotency_key: str | None = None, **filters: Stated
    ) -> BulkRevocation:
        """Revoke exactly the tokens of a plan; refused (`plan-changed`) if the filter now matches other tokens."""
        body = spelling.body(filter=_filter(filters), plan=plan, reason=reason)
        return await self.changed(
            BulkRevocation, _REVOCATIONS, body, key=idempotency_key, patience_seconds=_PATIENCE_SECONDS
        )

    async def revocation(self, revocation: UUID | str) -> BulkRevocation:
        """Return a bulk revocation with its progress."""
        return await self.fetched(BulkRevocation, f"{_REVOCATIONS}/{spelling.bulk_revocation_id(revocation)}")

    def revocations(self, *, limit: int | None = None) -> AsyncIterator[BulkRevocation]:
        """Yield bulk revocations, the latest first."""
        return self.pages(_REVOCATIONS, {}, BulkRevocation, limit=limit)

    async def cancel_revocation(self, revocation: UUID | str) -> BulkRevocation:
        """Cancel a bulk revocation: its remaining tokens stay as they are; a second call changes nothing."""
        call = Call("POST", f"{_REVOCATIONS}/{spelling.bulk_revocation_id(revocation)}/cancel", body=spelling.body())
        return await self.sent(BulkRevocation, call)

    async def import_tokens(self, tokens: Sequence[Mapping[str, Any]], *, dry_run: bool = False) -> ImportReport:
        """Import up to 1,000 tokens of another system; repeating the call finishes it and imports no token twice.

        Each has a name, a `secret` or its `digest`, and any of the other fields of `create`.
        """
        body = spelling.body(tokens=list(tokens), dry_run=dry_run)
        call = Call("POST", "/v1/tokens/import", body=body, changes=not dry_run, patience_seconds=_PATIENCE_SECONDS)
        return await self.sent(ImportReport, call)

    async def report_leak(self, secrets: Sequence[str]) -> int:
        """Revoke the tokens that these leaked secrets belong to, and return how many secrets the API received.

        It needs no token. More than a thousand secrets go in several reports; a second call changes nothing.
        """
        received = 0
        for start in range(0, len(secrets), LEAK_LIMIT):
            body = msgspec.json.encode(secrets[start : start + LEAK_LIMIT])
            received += (await self.sent(_Received, Call("POST", "/v1/leak-reports", body=body))).received
        return received


def _filter(filters: Mapping[str, Stated]) -> dict[str, str | bool | list[str]]:
    return {name: value if isinstance(value, bool) else spelling.stated(value) for name, value in filters.items()}
