"""Subjects whose documents differ from the log, until an event explains it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from counterfoil.core.chain import Finding, as_shown
from counterfoil.core.subjects.token.acceptance import ALONE
from counterfoil.core.subjects.token.state import Token
from counterfoil.uses.audit.account_log import AccountLog
from counterfoil.uses.audit.expected_documents import FROM_CONTEXT, Difference, differences, is_listed

_UNKNOWN: Final = "document-without-events"
_MISSING: Final = "events-without-document"


@dataclass(slots=True)
class Suspect:
    """A subject with its document at a moment (None: not shown), and the unexplained fields."""

    kind: str
    subject: UUID
    document: object
    at: datetime
    found: dict[str, Finding] = field(default_factory=dict)

    @property
    def by_context_alone(self) -> bool:
        """Whether only fields that depend on its owner or its account differ."""
        return self.found.keys() <= FROM_CONTEXT

    def show(self, document: object, at: datetime) -> None:
        """Replace the document by a later one."""
        self.document, self.at = document, at

    def explained(self, log: AccountLog) -> bool:
        """Compare the document with the present state of the log; return whether every field is explained.

        A field that an earlier comparison explained stays explained: the subject changed while it was read.
        """
        found = self._against(log)
        if self.found and _UNKNOWN not in self.found:
            found = {name: found[name] for name in self.found if name in found}
        self.found = found
        return not found

    def _against(self, log: AccountLog) -> dict[str, Finding]:
        chain = log.chains.get(self.subject)
        if chain is not None and chain.broken:  # its state is unknown, and the audit has reported why
            return {}
        if chain is None or chain.kind != self.kind or (state := chain.state) is None:
            return {_UNKNOWN: self._finding(log, _UNKNOWN)}
        if self.document is None:
            return {_MISSING: self._finding(log, _MISSING)} if is_listed(state) else {}
        context = log.context_for(state) if isinstance(state, Token) else ALONE
        differing = differences(state, self.document, self.at, context, private=not chain.hidden)
        if not is_listed(state):
            differing.append(Difference("status", "active", state.status))
        return {
            name: self._finding(log, "document-differs", field=name, stored=shown, replayed=expected)
            for name, shown, expected in differing
        }

    def _finding(
        self, log: AccountLog, what: str, *, field: str | None = None, stored: object = None, replayed: object = None
    ) -> Finding:
        return Finding(
            account=log.account, subject=self.subject, kind=self.kind, what=what, field=field,
            stored=as_shown(stored), replayed=as_shown(replayed),
        )  # fmt: skip
