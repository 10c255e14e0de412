"""The write-behind buffer: merged, bounded, kept while the database is away, and written at close."""

import operator

import pytest
from structlog.testing import capture_logs

from counterfoil.uses.write_behind import WriteBehind


class Table:
    """Adds up what is written, or raises the next error of a list."""

    def __init__(self, *errors: Exception) -> None:
        self.rows: dict[str, int] = {}
        self.writes: list[int] = []
        self._errors = list(errors)

    async def write(self, part: dict[str, int]) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.writes.append(len(part))
        for key, value in part.items():
            self.rows[key] = self.rows.get(key, 0) + value

    def behind(self, *, key_limit: int = 10_000) -> WriteBehind[str, int]:
        return WriteBehind(self.write, merge=operator.add, name="things", seconds=3_600, key_limit=key_limit)


async def test_values_of_one_key_are_merged_and_written_at_close() -> None:
    table = Table()
    async with table.behind() as waiting:
        for _ in range(3):
            waiting.add("a", 1)
        assert not table.writes
    assert (table.rows, table.writes) == ({"a": 3}, [1])


async def test_many_keys_are_written_in_parts() -> None:
    table = Table()
    async with table.behind() as waiting:
        for number in range(1_200):
            waiting.add(str(number), 1)
    assert table.writes == [500, 500, 200]


@pytest.mark.parametrize("error", [ConnectionRefusedError(), ValueError()])
async def test_a_failed_write_is_merged_with_newer_values(error: Exception) -> None:
    table = Table(error)
    waiting = table.behind()
    waiting.add("a", 1)
    with capture_logs() as logs:
        if isinstance(error, ValueError):
            with pytest.raises(ValueError):  # noqa: PT011 - ours, of the line above
                await waiting.flush()
        else:
            await waiting.flush()
            assert [(line["event"], line["what"], line["keys"]) for line in logs] == [("write_postponed", "things", 1)]
    waiting.add("a", 1)
    await waiting.flush()
    assert table.rows == {"a": 2}


async def test_beyond_the_limit_the_oldest_values_are_dropped_and_counted_in_the_log() -> None:
    table = Table(ConnectionRefusedError())
    waiting = table.behind(key_limit=10)
    for number in range(8):
        waiting.add(str(number), 1)
    await waiting.flush()
    for number in range(8, 15):
        waiting.add(str(number), 1)
    assert len(waiting) == 10
    with capture_logs() as logs:
        await waiting.flush()
    assert list(table.rows) == [str(number) for number in range(5, 15)]
    assert [(line["event"], line["keys"]) for line in logs] == [("values_dropped", 5)]


async def test_a_close_without_a_database_reports_what_is_lost() -> None:
    waiting = Table(*[ConnectionRefusedError()] * 9).behind()
    with capture_logs() as logs:
        async with waiting:
            waiting.add("a", 1)
    assert {line["event"] for line in logs} == {"write_postponed", "never_written"}
    assert (logs[-1]["what"], logs[-1]["keys"]) == ("things", 1)
