"""The results of cases, and their table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from rich.table import Table

from .cases import Case
from .load import Tally
from .stage import Spent


@dataclass(slots=True)
class Half:
    """All rounds of one side."""

    tallies: list[Tally] = field(default_factory=list)
    spent: list[Spent] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Successful answers a second, for each round."""
        return [_good(tally) / tally.seconds for tally in self.tallies]

    @property
    def events_per_transaction(self) -> float | None:
        """The mean number of commands in a transaction, if there were any."""
        transactions = sum(each.transactions for each in self.spent)
        return sum(each.commands for each in self.spent) / transactions if transactions else None

    @property
    def cpu_microseconds(self) -> float:
        """Processor time of the API process for an answer; load on the machine changes it least."""
        return 1e6 * sum(each.cpu_seconds for each in self.spent) / sum(tally.answers for tally in self.tallies)

    @property
    def refused(self) -> int:
        """The number of unsuccessful answers."""
        return sum(sum(tally.statuses.values()) - _good(tally) for tally in self.tallies)

    def milliseconds(self, percent: float) -> float:
        """Return a percentile of the durations."""
        taken = sum((Counter(tally.tenths) for tally in self.tallies), Counter[int]())
        left = taken.total() * percent / 100
        for tenth, count in sorted(taken.items()):
            left -= count
            if left <= 0:
                return (tenth + 1) / 10
        return float("nan")

    def plain(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "per_second": median(self.rates),
            "p50_ms": self.milliseconds(50),
            "p99_ms": self.milliseconds(99),
            "refused": self.refused,
            "cpu_us": self.cpu_microseconds,
            "events_per_transaction": self.events_per_transaction,
        }


@dataclass(slots=True)
class Result:
    """A case and the two sides of it."""

    case: Case
    side: Half = field(default_factory=Half)
    other: Half = field(default_factory=Half)

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round to the round beside it: load on the machine slows both."""
        return [one / other for one, other in zip(self.side.rates, self.other.rates, strict=True)]

    @property
    def kept(self) -> bool:
        """Whether the result meets the limits."""
        case = self.case
        fast = case.least is None or median(self.ratios) >= case.least
        return fast and (case.p99_below_ms is None or self.side.milliseconds(99) < case.p99_below_ms)

    def plain(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "name": self.case.name,
            "against": self.case.says,
            "ratio": median(self.ratios),
            "ratios": self.ratios,
            "least": self.case.least,
            "kept": self.kept,
            "side": self.side.plain(),
            "other": self.other.plain(),
        }


def table_of(results: Sequence[Result]) -> Table:
    """Draw the table."""
    table = Table("case", "against", title="requests a second, as a ratio of what stands beside it")
    for name in ("ratio", "min-max", "wanted", "a second", "p50 ms", "p99 ms", "CPU us", "events/tx", ""):
        table.add_column(name, justify="right")
    for result in results:
        table.add_row(*_cells(result))
    return table


def _cells(result: Result) -> Sequence[str]:
    case, side, other, ratios = result.case, result.side, result.other, result.ratios
    together = side.events_per_transaction
    wanted = [f">= {case.least:.2f}"] if case.least else []
    wanted += [f"p99 < {case.p99_below_ms:g} ms"] if case.p99_below_ms else []
    return (
        case.name, case.says, f"{median(ratios):.2f}", f"{min(ratios):.2f}-{max(ratios):.2f}", ", ".join(wanted),
        f"{median(side.rates):,.0f} / {median(other.rates):,.0f}",
        f"{side.milliseconds(50):.1f} / {other.milliseconds(50):.1f}",
        f"{side.milliseconds(99):.1f} / {other.milliseconds(99):.1f}",
        f"{side.cpu_microseconds:.0f} / {other.cpu_microseconds:.0f}", f"{together:.1f}" if together else "",
        "kept" if result.kept else "MISSED",
    )  # fmt: skip


def _good(tally: Tally) -> int:
    return sum(count for status, count in tally.statuses.items() if status < 300)
