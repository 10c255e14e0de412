"""The calls about many tokens at once: bulk revocations and imports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from counterfoil.client import spelling
from counterfoil.client.bulk_documents import ImportReport, Job, Plan
from counterfoil.client.calls import Calls
from counterfoil.client.spelling import Stated
from counterfoil.client.wire import Call

_PATIENCE_SECONDS: Final = 120.0
"""A plan over a million tokens takes this long."""
_JOBS: Final = "/v1/revocations"


class Bulk(Calls):
    """Revoke and import many tokens at once."""

    async def plan_revocation(self, **wanted: Stated) -> Plan:
        """Return what a bulk revocation would revoke, and what would break; nothing is changed.

        Filters are those of `list`; `everything=True` means every token of the account, and `with_children=True` also
        the tokens that those made.
        """
        call = Call(
            "POST", f"{_JOBS}/plan", body=spelling.body(filter=_said(wanted)), patience_seconds=_PATIENCE_SECONDS
        )
        return spelling.read(await self.wire.ask(call), Plan)

    async def revoke_many(self, plan: str, *, reason: str, idempotency_key: str | None = None, **wanted: Stated) -> Job:
        """Revoke exactly the tokens of a plan; refused (`plan-changed`) if the filter matches other tokens by now."""
        body = spelling.body(filter=_said(wanted), plan=plan, reason=reason)
        return await self.changed(Job, _JOBS, body, key=idempotency_key, patience_seconds=_PATIENCE_SECONDS)

    async def revocation(self, job: UUID | str) -> Job:
        """Return a bulk revocation and how far it is."""
        return await self.fetched(Job, f"{_JOBS}/{spelling.job_of(job)}")

    async def revocations(self, *, limit: int | None = None) -> AsyncIterator[Job]:
        """Yield bulk revocations, the latest first."""
        async for job in self.pages(_JOBS, {}, Job, limit=limit):
            yield job

    async def cancel_revocation(self, job: UUID | str) -> Job:
        """Cancel a bulk revocation: its remaining tokens stay as they are; a second call changes nothing."""
        call = Call("POST", f"{_JOBS}/{spelling.job_of(job)}/cancel", body=spelling.body())
        return spelling.read(await self.wire.ask(call), Job)

    async def import_tokens(self, tokens: Sequence[Mapping[str, Any]], *, dry_run: bool = False) -> ImportReport:
        """Import up to 1,000 tokens of another system; repeating the call finishes it and imports no token twice.

        Each has a name, as for `create` whatever else a token has, and a `secret` or a `digest` of it.
        """
        body = spelling.body(tokens=list(tokens), dry_run=dry_run)
        call = Call("POST", "/v1/tokens/import", body=body, changes=not dry_run, patience_seconds=_PATIENCE_SECONDS)
        return spelling.read(await self.wire.ask(call), ImportReport)


def _said(wanted: Mapping[str, Stated]) -> dict[str, str | bool | list[str]]:
    return {name: value if isinstance(value, bool) else spelling.stated(value) for name, value in wanted.items()}
