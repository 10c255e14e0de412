"""Check the log of one account as the API sends it: every position, and a Chain for each subject.

Keeps the state of every subject, and no event: memory grows with the subjects (tokens, users, …), not with the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from counterfoil.core import codec
from counterfoil.core.chain import Chain, Finding, Stored
from counterfoil.core.history import context_of
from counterfoil.core.subjects.account import Account
from counterfoil.core.subjects.token.acceptance import Context
from counterfoil.core.subjects.token.state import Token
from counterfoil.core.subjects.user import User
from counterfoil.documents.events import LogLine

S = TypeVar("S", Account, User)


_lines: Final = msgspec.json.Decoder(LogLine)


class AccountLog:
    """An account's log as read up to `position`: the history and state of each subject."""

    def __init__(self, account: UUID) -> None:
        self.account = account
        self.position = 0
        self.chains: dict[UUID, Chain] = {}
        self.latest: Chain | None = None
        """The chain of the latest line; None if it has none."""

    def add(self, text: bytes | msgspec.Raw) -> Iterator[Finding]:
        """Check one more line and apply its event."""
        self.latest = None
        try:
            line = _lines.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield self._finding("line-unreadable", position=self.position + 1)
            return
        comes_late = line.position <= self.position
        if line.position != self.position + 1:
            yield self._misplaced(line.position)
        self.position = max(self.position, line.position)
        try:
            entry = codec.entry_of(line.entry)
        except (msgspec.DecodeError, ValueError):
            yield self._finding("entry-unreadable", position=line.position)
            return
        if entry.account != self.account:
            yield self._finding(
                "entry-of-another-account",
                position=line.position,
                stored=str(entry.account),
                replayed=str(self.account),
            )
            return
        chain = self.chains.get(entry.subject.id) or Chain(self.account, entry.subject.id)
        if not comes_late or entry.version == chain.version + 1:  # a repeated event is not applied again
            self.latest = self.chains[chain.subject] = chain
            for finding in chain.add(_stored(entry, line)):
                yield replace(finding, position=line.position)

    def reach(self, position: int) -> Iterator[Finding]:
        """Note that the API sent every event up to here."""
        if position > self.position:
            yield self._misplaced(position + 1)
            self.position = position

    def context_for(self, token: Token) -> Context:
        """Return the present context of a token: its account and its owner."""
        user = token.owner.user
        return context_of(self._state(self.account, Account), None if user is None else self._state(user, User))

    def _state(self, subject: UUID, kind: type[S]) -> S | None:
        chain = self.chains.get(subject)
        return chain.state if chain is not None and isinstance(chain.state, kind) else None

    def _misplaced(self, position: int) -> Finding:
        due = self.position + 1
        what = "position-gap" if position > due else "position-repeated"
        return self._finding(what, position=position, stored=position, replayed=due)

    def _finding(self, what: str, *, position: int, stored: object = None, replayed: object = None) -> Finding:
        return Finding(
            account=self.account, subject=self.account, kind="account", what=what, position=position,
            stored=stored, replayed=replayed,
        )  # fmt: skip


def _stored(entry: codec.Entry, line: LogLine) -> Stored:
    private = line.private
    return Stored(
        account=entry.account, kind=entry.subject.kind, subject=entry.subject.id, version=entry.version,
        type=entry.type, at=entry.at, entry=line.entry, private=None if private is None else private.text,
        salt=None if private is None else private.salt,
    )  # fmt: skip
