"""The audit over HTTP: replay the account's log, and compare everything that the API shows with it.

It reads the log in pages and checks each line. After a finding it continues. It keeps one state for each subject in
memory, however many events there are. It compares each document with every later state of its subject as well, so that
other callers may change subjects during the audit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from counterfoil.client import Client, Forbidden
from counterfoil.client.documents import Token
from counterfoil.client.spelling import read
from counterfoil.client.wire import Call
from counterfoil.core.chain import Finding
from counterfoil.core.scopes import missing
from counterfoil.uses.audit.account_log import AccountLog
from counterfoil.uses.audit.listings import LISTINGS
from counterfoil.uses.audit.progress import Tally
from counterfoil.uses.audit.suspects import Suspect

_PAGE: Final = 1_000
_PATIENCE_SECONDS: Final = 60.0
PAUSES_SECONDS: Final = (0.2, 0.4, 0.8, 1.6, 3.2)
"""The longest time that an event may take from its commit to its position in the log."""
_ASKED_AGAIN: Final = 100
_MOMENT: Final = timedelta(microseconds=1)


class _Page(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]
    after: int
    head: int


async def replay(ledger: Client, tally: Tally, *, pauses: Sequence[float] = PAUSES_SECONDS) -> AsyncIterator[Finding]:
    """Yield every finding in the log and in what the API shows to this caller.

    After each of these `pauses` (seconds) it reads the log again, for events that explain a different document.
    """
    myself = await ledger.get("self")
    audit = _Audit(ledger, AccountLog(myself.account), tally, myself.effective_scopes)
    async for finding in audit.findings(pauses):
        tally.findings += 1
        yield finding


class _Audit:
    """One audit: the log so far, and the subjects under suspicion."""

    def __init__(self, ledger: Client, log: AccountLog, tally: Tally, scopes: tuple[str, ...]) -> None:
        self._ledger, self._log, self._tally, self._scopes = ledger, log, tally, scopes
        self._suspects: dict[UUID, Suspect] = {}

    async def findings(self, pauses: Sequence[float]) -> AsyncIterator[Finding]:
        async for finding in self._read_on():
            yield finding
        for kind in LISTINGS:
            await self._compare(kind)
        for pause in pauses:
            if not self._suspects:
                break
            await self._ask_again()
            await asyncio.sleep(pause)
            async for finding in self._read_on():
                yield finding
            for suspect in list(self._suspects.values()):
                self._look_at(suspect)
        for suspect in self._suspects.values():
            for finding in suspect.found.values():
                yield finding
        for finding in self._hidden():
            yield finding
        self._tally.subjects = len(self._log.chains)

    async def _read_on(self) -> AsyncIterator[Finding]:
        """Read to the present end of the log, and drop suspects whose documents an event explains."""
        log, until = self._log, None
        while until is None or log.position < until:
            page = await self._page(log.position)
            until = page.head if until is None else until
            began = log.position
            for line in page.items:
                for finding in log.add(line):
                    yield finding
                if self._suspects and log.latest and (suspect := self._suspects.get(log.latest.subject)):
                    self._look_at(suspect)
            for finding in log.reach(page.after):
                yield finding
            if log.position == began:  # without progress the loop would not end
                for finding in log.reach(until):
                    yield finding
            self._tally.counted(max(page.head, self._tally.total))
            self._tally.read(len(page.items))

    async def _page(self, after: int) -> _Page:
        query = {"after": str(after), "limit": str(_PAGE)}
        call = Call("GET", "/v1/events", query, patience_seconds=_PATIENCE_SECONDS)
        return read(await self._ledger.wire.ask(call), _Page)

    async def _compare(self, kind: str) -> None:
        """Suspect every subject of a kind whose document differs from the log."""
        scope, documents = LISTINGS[kind]
        if missing(self._scopes, (scope,)):  # do not ask: the ledger records refused requests
            self._tally.not_compared[kind] = f"needs the scope {scope}"
            return
        seen: set[UUID] = set()
        try:
            async for subject, document in documents(self._ledger, self._log.account):
                self._tally.documents += 1
                seen.add(subject)
                self._look_at(Suspect(kind, subject, document, datetime.now(UTC)))
        except Forbidden:  # a bearer may hold less than its token
            self._tally.not_compared[kind] = f"needs the scope {scope}"
            return
        for subject, chain in self._log.chains.items():
            if chain.kind == kind and subject not in seen:
                self._look_at(Suspect(kind, subject, None, datetime.now(UTC)))

    def _look_at(self, suspect: Suspect) -> None:
        if suspect.explained(self._log):
            self._suspects.pop(suspect.subject, None)
        else:
            self._suspects[suspect.subject] = suspect

    async def _ask_again(self) -> None:
        """List tokens again if only fields that depend on their account or owner differ.

        The account or owner may have changed at nearly the same time, and the log has no exact order between subjects.
        """
        doubtful = [each for each in self._suspects.values() if each.by_context_alone]
        for suspect in doubtful[:_ASKED_AGAIN]:
            if isinstance(token := suspect.document, Token):
                born = token.created_at
                async for again in self._ledger.list(created_after=born, created_before=born + _MOMENT):
                    if again.id == token.id:
                        suspect.show(again, datetime.now(UTC))

    def _hidden(self) -> Iterator[Finding]:
        """Report missing private parts, and kinds that were not compared."""
        for chain in self._log.chains.values():
            if chain.kind not in LISTINGS:
                self._tally.not_compared[chain.kind] = "the API shows no state of it"
            if chain.kind != "user" or "user" not in self._tally.not_compared:
                yield from chain.missing()
