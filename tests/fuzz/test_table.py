"""Every function of ours that reads foreign bytes is in the table."""

from fuzz.readers import readers
from fuzz.table import BY_DOCUMENTS, BY_SERVICE, OURS, PARSERS


def listed() -> list[str]:
    covered = [name for parser in PARSERS.values() for name in parser.covers]
    return [*PARSERS, *covered, *BY_DOCUMENTS, *BY_SERVICE, *OURS]


def test_every_reader_of_foreign_bytes_is_in_the_table() -> None:
    # Fuzz it in core.py or web.py, or name in table.py the test that covers it or the reason why none is needed.
    assert sorted(set(readers()) - set(listed())) == []


def test_every_entry_of_the_table_is_unique_and_has_a_reason() -> None:
    assert sorted(name for name in set(listed()) if listed().count(name) > 1) == []
    assert [name for name, reason in OURS.items() if len(reason) < 10] == []


def test_removed_readers_leave_the_table() -> None:
    assert sorted((set(BY_DOCUMENTS) | set(BY_SERVICE) | set(OURS)) - set(readers())) == []


def test_a_reader_is_found_by_the_functions_that_it_calls() -> None:
    found = set(readers())
    assert {"counterfoil.core.duration:length", "counterfoil.uses.bearers:KeyRing.claims_of"} < found
    assert {"counterfoil_api.native.tokens.references:found", "counterfoil.core.codec:entry_of"} < found
    assert len(found) > 60
