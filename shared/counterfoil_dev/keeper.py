"""Keeps processes alive: what dies is started again, sooner at first, then with more patience."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from counterfoil_dev.child import Child

FIRST_DELAY_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 5.0
SETTLED_SECONDS: Final = 10.0
"""Whoever has lived this long has recovered, and is started at once when it next dies."""


@dataclass(slots=True)
class Keeper:
    """One process and the patience we have with it."""

    child: Child
    start: Callable[[], None]
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    delay_seconds: float = FIRST_DELAY_SECONDS
    restart_at: float | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)

    def look(self) -> None:
        """See whether it lives; note its death, or start it again once the time has come."""
        now = self.clock()
        if self.child.alive:
            if now - self.started_at > SETTLED_SECONDS:
                self.delay_seconds = FIRST_DELAY_SECONDS
            self.child.trim_log()
        elif self.restart_at is None:
            self.child.sweep()
            self.restart_at = now + self.delay_seconds
            self.tell(f"{self.child.name} {self.child.end}; starting it again in {self.delay_seconds:.1f} s")
            self.delay_seconds = min(self.delay_seconds * 2, LONGEST_DELAY_SECONDS)
        elif now >= self.restart_at:
            self.restart_at = None
            self.started_at = now
            self.start()
