"""Entries: canonical bytes, RFC 6962 leaves, one chain for each subject, and a commitment to the private part."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.histories import ADMIN, BORN, CREATED, REVOKED, SUSPENDED, fact
from counterfoil.core import codec
from counterfoil.core.codec import ENTRY_LIMIT, Data, canonical, commitment, entry_of, fact_of, leaf_hash, seal, upcast
from counterfoil.core.events import Private
from counterfoil.core.kinds import EVENTS
from counterfoil.core.refusals import EntryTooLarge
from counterfoil.core.subjects.token.events import Created, Erased, Revoked, Rotated

SALT = bytes(range(32))
WRITTEN = fact(CREATED, version=1)
ASCII = st.text(alphabet=st.characters(max_codepoint=127))
WHOLE = st.integers(-(2**53), 2**53)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ASCII, inner, max_size=4),
    max_leaves=12,
)


def rfc_8785(value: object) -> bytes:
    """The same bytes by an independent encoder; without floats and with ASCII keys this is all of RFC 8785."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@given(JSON)
def test_a_value_has_one_encoding(value: object) -> None:
    assert canonical(value) == rfc_8785(value)


def test_an_entry_is_encoded_canonically() -> None:
    entry = seal(WRITTEN, prev=bytes(32), salt=SALT).entry
    assert rfc_8785(json.loads(entry)) == entry
    assert b"." not in entry.replace(b"tokens.read", b"")  # and no float anywhere


def test_a_leaf_is_hashed_as_in_rfc_6962() -> None:
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    sealed = seal(WRITTEN, prev=None, salt=SALT)
    assert sealed.leaf == hashlib.sha256(b"\x00" + sealed.entry).digest()


def test_each_entry_links_to_the_previous_one_of_its_subject() -> None:
    first = seal(WRITTEN, prev=None, salt=SALT)
    second = seal(fact(SUSPENDED, version=2), prev=first.leaf, salt=SALT)
    assert entry_of(first.entry).prev is None
    assert entry_of(second.entry).prev == base64.b64encode(first.leaf).decode()


def test_an_entry_commits_to_its_private_part_and_contains_none_of_it() -> None:
    sealed = seal(fact(REVOKED, version=2), prev=None, salt=SALT)
    assert sealed.private == b'{"reason":"leaked"}'
    assert sealed.salt == SALT
    assert b"leaked" not in sealed.entry
    expected = hashlib.sha256(SALT + b'{"reason":"leaked"}').digest()
    assert commitment(SALT, sealed.private) == expected
    assert entry_of(sealed.entry).private == base64.b64encode(expected).decode()


def test_the_same_private_part_with_another_salt_has_another_commitment() -> None:
    one, other = (seal(WRITTEN, prev=None, salt=salt).entry for salt in (SALT, bytes(32)))
    assert one != other


def test_no_salt_is_stored_without_a_private_part() -> None:
    sealed = seal(fact(Erased(), version=2), prev=None, salt=SALT)
    assert (sealed.private, sealed.salt, entry_of(sealed.entry).private) == (None, None, None)


@pytest.mark.parametrize(
    ("past", "spelt"),
    [
        (timedelta(0), "2026-01-01T12:00:00Z"),
        (timedelta(microseconds=1), "2026-01-01T12:00:00.000001Z"),
        (timedelta(milliseconds=500), "2026-01-01T12:00:00.500000Z"),
    ],
)
def test_times_are_in_utc_with_microseconds_only_if_there_are_any(past: timedelta, spelt: str) -> None:
    entry = seal(fact(SUSPENDED, version=2, at=BORN + past), prev=None, salt=SALT).entry
    assert json.loads(entry)["at"] == spelt
    assert entry_of(entry).at == BORN + past


def hint_of(size: int) -> Created:
    """An event whose entry has exactly this many bytes."""
    short = len(seal(fact(replace(CREATED, hint=""), version=1), prev=None, salt=SALT).entry)
    return replace(CREATED, hint="x" * (size - short))


def test_an_entry_has_at_most_65535_bytes() -> None:
    largest = seal(fact(hint_of(ENTRY_LIMIT), version=1), prev=None, salt=SALT)
    assert len(largest.entry) == ENTRY_LIMIT == 65_535
    with pytest.raises(EntryTooLarge, match="would have 65,536 bytes"):
        seal(fact(hint_of(ENTRY_LIMIT + 1), version=1), prev=None, salt=SALT)


def test_the_limit_counts_bytes_and_not_characters() -> None:
    audience = tuple("é" * 255 for _ in range(130))
    with pytest.raises(EntryTooLarge):
        seal(fact(replace(CREATED, scopes=audience), version=1), prev=None, salt=SALT)


def test_a_written_entry_is_read_back() -> None:
    sealed = seal(WRITTEN, prev=None, salt=SALT)
    assert fact_of(entry_of(sealed.entry), sealed.private, EVENTS) == WRITTEN
    assert fact_of(entry_of(sealed.entry.decode()), (sealed.private or b"").decode(), EVENTS) == WRITTEN


def test_an_erased_entry_is_read_back_without_its_private_part() -> None:
    sealed = seal(WRITTEN, prev=None, salt=SALT)
    assert fact_of(entry_of(sealed.entry), None, EVENTS).event == replace(CREATED, private=Private())


def test_an_empty_text_differs_from_no_text() -> None:
    for said in (Private(), Private(description=""), Private(metadata={})):
        sealed = seal(fact(Revoked(private=said), version=2), prev=None, salt=SALT)
        assert fact_of(entry_of(sealed.entry), sealed.private, EVENTS).event.private == said


def test_an_old_entry_is_read_with_the_default_of_a_newer_field() -> None:
    old = json.loads(seal(WRITTEN, prev=None, salt=SALT).entry)
    del old["data"]["dialect"], old["data"]["cloned_from"]
    read = fact_of(entry_of(canonical(old)), None, EVENTS).event
    assert isinstance(read, Created)
    assert (read.dialect, read.cloned_from) == ("native", None)


def test_an_event_of_an_earlier_version_is_read_as_the_present_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def number_from_id(data: Data) -> Data:
        return {**data, "number": data["id"]}

    def id_removed(data: Data) -> Data:
        return {name: value for name, value in data.items() if name != "id"}

    current = json.loads(seal(WRITTEN, prev=None, salt=SALT).entry)
    data = {name: value for name, value in current["data"].items() if name != "number"}
    stored = [
        canonical({**current, "v": 0, "data": {**data, "id": 7}}),
        canonical({**current, "v": 1, "data": {**data, "id": 7, "number": 7}}),
        canonical({**current, "v": 2, "data": {**data, "number": 7}}),
    ]
    monkeypatch.setattr(codec, "UPCASTS", {("token", "created"): (number_from_id, id_removed)})
    present = replace(WRITTEN, event=replace(CREATED, number=7, private=Private()))
    assert [fact_of(entry_of(entry), None, EVENTS) for entry in stored] == [present] * 3
    assert {upcast(entry_of(entry)).v for entry in stored} == {2}
    assert entry_of(stored[0]).v == 0  # the stored entry is hashed, not the upcast one
    assert entry_of(seal(WRITTEN, prev=None, salt=SALT).entry).v == 2
    with pytest.raises(msgspec.ValidationError, match="Version 3 of created"):
        entry_of(canonical({**current, "v": 3}))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 1},
        {"v": -1},
        {"v": "0"},
        {"extra": 1},
        {"version": "1"},
        {"at": "yesterday"},
        {"account": "acme"},
        {"by": None},
    ],
)
def test_an_invalid_entry_is_not_read(change: dict[str, Any]) -> None:
    written = json.loads(seal(WRITTEN, prev=None, salt=SALT).entry)
    with pytest.raises(msgspec.ValidationError):
        entry_of(canonical(written | change))
    for field in written:
        with pytest.raises(msgspec.ValidationError):
            entry_of(canonical({key: value for key, value in written.items() if key != field}))


def test_a_deeply_nested_entry_is_not_read() -> None:
    entry = seal(WRITTEN, prev=None, salt=SALT).entry
    with pytest.raises(msgspec.ValidationError, match="Nested"):
        entry_of(entry.replace(b'"data":{', b'"data":{"deep":' + b"[" * 20_000 + b"]" * 20_000 + b","))


def test_an_event_with_wrong_data_is_not_read() -> None:
    entry = entry_of(seal(WRITTEN, prev=None, salt=SALT).entry)
    with pytest.raises(msgspec.ValidationError):
        fact_of(replace(entry, data={**entry.data, "number": "seven"}), None, EVENTS)
    with pytest.raises(KeyError):
        fact_of(replace(entry, type="blessed"), None, EVENTS)


def test_an_entry_names_its_actor_only_by_an_opaque_id() -> None:
    entry = json.loads(
        seal(fact(Rotated(generation=2, previous_until=None, hint="s"), version=2), prev=None, salt=SALT).entry
    )
    assert entry["by"] == {"id": str(ADMIN.actor.id), "kind": "user"}
    assert set(entry) == {"account", "at", "by", "data", "prev", "private", "subject", "type", "v", "version"}
