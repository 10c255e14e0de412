"""Text: what people may write, and what would write itself over somebody's screen or log."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.refusals import BadMetadata, BadText
from counterfoil.secret import mint
from counterfoil.text import METADATA_LIMIT, checked, checked_metadata, checked_name, escaped

REFUSED = [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A),
           0xFEFF, 0xD800, 0xDFFF]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["nightly", "Ада", "名前", "a\u0301", "👩\u200d🔧", "=cmd()", "<script>", "'; --", " padded "]
)
def test_people_write_as_they_like(text: str) -> None:
    assert checked_name(text) == text


@pytest.mark.parametrize("code", REFUSED)
def test_control_and_direction_characters_are_refused_by_name(code: int) -> None:
    with pytest.raises(BadText, match=rf"name holds U\+{code:04X};") as refused:
        checked_name(f"a{chr(code)}b")
    assert refused.value.facts == {"field": "name"}
    assert chr(code) not in str(refused.value)


@given(st.text())
def test_what_is_escaped_can_be_written_by_anybody(text: str) -> None:
    assert checked("text", escaped(text), 1_000_000) == escaped(text)
    assert escaped(text) == text or any(ord(character) in REFUSED or not character.isprintable() for character in text)


@given(st.text(alphabet=st.characters(categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1))
def test_no_control_surrogate_or_line_separator_passes(text: str) -> None:
    with pytest.raises(BadText):
        checked("text", text, 1_000)


@given(st.characters(exclude_categories=["Cs"]))
def test_whatever_passes_has_no_direction_of_its_own_and_encodes(character: str) -> None:
    try:
        checked("text", character, 1)
    except BadText:
        return
    assert unicodedata.bidirectional(character) not in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    character.encode()


def test_the_limit_counts_characters() -> None:
    assert checked("name", "é" * 255, 255) == "é" * 255
    with pytest.raises(BadText, match="name is longer than 255 characters"):
        checked("name", "é" * 256, 255)


@pytest.mark.parametrize("name", ["", " ", "\u00a0", "\u3000\u2003"])
def test_a_name_is_not_empty(name: str) -> None:
    with pytest.raises(BadText, match="name is empty"):
        checked_name(name)


def test_metadata_is_returned_as_a_copy() -> None:
    given_to_us = {"team": "billing", "a.b:c/d-e_F9": ""}
    taken = checked_metadata(given_to_us)
    assert taken == given_to_us
    assert taken is not given_to_us


@pytest.mark.parametrize("key", ["", " ", "clé", "a b", "a\n", "x" * 65, "a=b", "a\x00"])
def test_metadata_keys_are_short_and_ascii(key: str) -> None:
    with pytest.raises(BadMetadata):
        checked_metadata({key: "v"})


def test_a_secret_is_neither_text_nor_a_key() -> None:
    plain = mint("user").plain
    with pytest.raises(BadText, match="holds a token's secret") as refused:
        checked_name(f"found {plain} in a log")
    assert plain not in str(refused.value)
    with pytest.raises(BadMetadata) as refused_key:
        checked_metadata({plain: "x"})
    assert plain not in str(refused_key.value)
    assert checked_name("found cfl_user_Ab12… in a log")


@pytest.mark.parametrize("value", ["\x00", "x" * 1_001, "\u202e"])
def test_metadata_values_are_text(value: str) -> None:
    with pytest.raises(BadText) as refused:
        checked_metadata({"team": value})
    assert refused.value.facts == {"field": "metadata.team"}


def test_metadata_has_at_most_64_keys() -> None:
    assert len(checked_metadata({f"k{n}": "" for n in range(METADATA_LIMIT)})) == METADATA_LIMIT
    with pytest.raises(BadMetadata):
        checked_metadata({f"k{n}": "" for n in range(METADATA_LIMIT + 1)})
