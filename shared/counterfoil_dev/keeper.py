"""Keeps processes alive: starts a dead process again, with growing delays."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from counterfoil_dev.child import Child

FIRST_DELAY_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 5.0
SETTLED_SECONDS: Final = 10.0
"""A process that has lived this long has recovered; its next restart has the first delay again."""


@dataclass(slots=True)
class Keeper:
    """One process, and the delay before its next restart."""

    child: Child
    start: Callable[[], None]
    report: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    delay_seconds: float = FIRST_DELAY_SECONDS
    restart_at: float | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)

    def look(self) -> None:
        """Check the process: plan a restart if it has died, and start it when the delay is over."""
        now = self.clock()
        if self.child.alive:
            if now - self.started_at > SETTLED_SECONDS:
                self.delay_seconds = FIRST_DELAY_SECONDS
            self.child.trim_log()
        elif self.restart_at is None:
            self.child.sweep()
            self.restart_at = now + self.delay_seconds
            self.report(f"{self.child.name} {self.child.end}; starting it again in {self.delay_seconds:.1f} s")
            self.delay_seconds = min(self.delay_seconds * 2, LONGEST_DELAY_SECONDS)
        elif now >= self.restart_at:
            self.restart_at = None
            self.started_at = now
            self.start()
