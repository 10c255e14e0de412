"""The progress of an audit."""

from __future__ import annotations

from collections.abc import Callable


class Tally:
    """The progress of an audit; `total` is 0 until it is counted.

    Over HTTP `documents` counts what the API showed, and `not_compared` says of each kind why that was not asked for.
    """

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self.total = 0
        self.events = 0
        self.subjects = 0
        self.findings = 0
        self.documents = 0
        self.not_compared: dict[str, str] = {}
        self._tell = tell

    def counted(self, total: int) -> None:
        """Report how many events there are."""
        self.total = total
        self._tell(self.events, total)

    def passed(self, events: int) -> None:
        """Report that one more subject, with so many events, was audited."""
        self.subjects += 1
        self.read(events)

    def read(self, events: int) -> None:
        """Report that so many more events were read."""
        self.events += events
        self._tell(self.events, self.total)
