from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.cursor import BadCursor, Cursors
from counterfoil.postgres.listing import Filter

ACCOUNT, OTHER = UUID(int=1), UUID(int=2)
CURSORS = Cursors(b"k" * 32)
QUESTION = ("-name", Filter(name="night*"))
PLACE: list[object] = ["nightly", "0190a1b2-0000-7000-8000-000000000001"]
CURSOR = CURSORS.made(ACCOUNT, QUESTION, PLACE)

PLACES = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3)


@given(place=PLACES)
def test_a_cursor_returns_its_position(place: list[Any]) -> None:
    assert CURSORS.place(ACCOUNT, QUESTION, CURSORS.made(ACCOUNT, QUESTION, place)) == place


def test_a_cursor_needs_no_url_encoding() -> None:
    assert CURSOR.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("account", "question"),
    [
        (OTHER, QUESTION),
        (ACCOUNT, ("name", Filter(name="night*"))),
        (ACCOUNT, ("-name", Filter(name="night*", status="active"))),
        (ACCOUNT, ("-name", Filter())),
    ],
)
def test_a_cursor_of_another_account_or_query_is_refused(account: UUID, question: object) -> None:
    with pytest.raises(BadCursor):
        CURSORS.place(account, question, CURSOR)


def test_a_cursor_made_under_another_key_is_refused() -> None:
    with pytest.raises(BadCursor):
        Cursors(b"x" * 32).place(ACCOUNT, QUESTION, CURSOR)


@given(at=st.integers(0, len(CURSOR) - 2), by=st.sampled_from("ABCxyz019-_"))
def test_a_cursor_with_a_changed_character_is_refused(at: int, by: str) -> None:
    changed = CURSOR[:at] + by + CURSOR[at + 1 :]
    if changed != CURSOR:
        with pytest.raises(BadCursor):
            CURSORS.place(ACCOUNT, QUESTION, changed)


@pytest.mark.parametrize(
    "text", ["", "A", "====", "not a cursor", "naïve", "\x00", CURSOR[:20], CURSOR[:-4], "A" * 999]
)
def test_an_invalid_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        CURSORS.place(ACCOUNT, QUESTION, text)


@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        CURSORS.place(ACCOUNT, QUESTION, text)
