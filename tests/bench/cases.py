"""The cases: what is compared with what, and the limits of the results."""

from dataclasses import dataclass
from typing import Final

from .load import Kind
from .stage import Storage

GROWN_BY: Final = 1 / 1.2


@dataclass(frozen=True, slots=True)
class Side:
    """One of two sides that take turns: storage, number of tokens, and whether another transaction locks a row."""

    storage: Storage = "postgres"
    grown: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of request on both sides; `least` is the lowest ratio of their rates that is allowed."""

    name: str
    kind: Kind
    says: str
    side: Side
    other: Side
    least: float | None = None
    p99_below_ms: float | None = None


POSTGRES: Final = Side()
TWIN: Final = Side(storage="memory")
GROWN: Final = Side(grown=True)
HELD: Final = Side(held=True)

# Cases that write nothing come first, and those that grow the smaller table last.
CASES: Final = (
    Case("introspect", "introspect", "its in-memory twin", POSTGRES, TWIN, least=0.8),
    Case("exchange", "exchange", "its in-memory twin", POSTGRES, TWIN, least=0.7, p99_below_ms=25),
    Case("exchange-held", "exchange", "no row held by a stranger", HELD, POSTGRES, least=0.9),
    Case("introspect-grown", "introspect", "the smaller table", GROWN, POSTGRES, least=GROWN_BY),
    Case("exchange-grown", "exchange", "the smaller table", GROWN, POSTGRES, least=GROWN_BY),
    Case("list-grown", "list", "the smaller table", GROWN, POSTGRES, least=GROWN_BY),
    Case("create", "create", "its in-memory twin", POSTGRES, TWIN, least=0.6),
)
