"""Text: which characters are accepted, and which would overwrite somebody's screen or log."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.refusals import BadMetadata, BadText
from counterfoil.core.secret import mint
from counterfoil.core.text import (
    MARKS_LIMIT,
    METADATA_LIMIT,
    checked,
    checked_metadata,
    checked_name,
    checked_reason,
    escaped,
    normal,
)

REFUSED = [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A),
           0xFEFF, 0xD800, 0xDFFF]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "nightly",
        "Ада",
        "名前",
        "\u00e1",
        "👩\u200d🔧",
        "❤\ufe0f",
        "می\u200cرود",
        "क\u094d\u200dष",
        "=cmd()",
        "<script>",
        "'; --",
        "a  b",
    ],
)
def test_ordinary_text_is_accepted_in_every_script(text: str) -> None:
    assert checked_name(text) == text


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (" padded ", "padded"),
        ("\u3000\u00a0nightly\u2003", "nightly"),
        ("\u200bnightly\u200b \u00ad", "nightly"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u1100\u1161", "\uac00"),
        ("e\u0301" * 255, "\u00e9" * 255),
        ("👩\u200d🔧 ", "👩\u200d🔧"),
    ],
)
def test_equivalent_texts_have_one_canonical_form(written: str, kept: str) -> None:
    assert checked_name(written) == checked_reason(written) == kept
    assert checked_metadata({"team": written}) == {"team": kept}


@given(st.text())
def test_the_canonical_form_is_stable(text: str) -> None:
    kept = normal(text)
    assert normal(kept) == kept
    assert kept == kept.strip()
    assert normal(unicodedata.normalize("NFD", kept)) == kept


@given(st.text())
def test_an_accepted_text_is_accepted_again_in_its_stored_form(text: str) -> None:
    try:
        kept = checked("text", text, 1_000_000)
    except BadText:
        return
    assert checked("text", kept, 1_000_000) == kept


@pytest.mark.parametrize("text", ["\u200b", "\u200b\u200d ", "\u2800", "\u3164", "\ufe0f", "\xad", "\u2060\U000e0061"])
def test_invisible_text_is_refused(text: str) -> None:
    for said in (checked_name, checked_reason, lambda value: checked("name", value, 9)):
        with pytest.raises(BadText, match="has only invisible characters"):
            said(text)


def test_optional_text_may_be_empty_or_blank() -> None:
    assert checked("description", "", 9) == checked("description", " \u3000", 9) == ""


def test_text_with_many_combining_marks_is_refused_before_it_is_composed() -> None:
    pair = "\u0301\u0323"
    assert checked_name("a" + pair * (MARKS_LIMIT // 2))
    with pytest.raises(BadText, match="name has more than 30 marks on one character"):
        checked_name("a" + pair * 16_000)
    assert normal("a" + pair * 1_000) == "a" + pair * 1_000  # composing 16 times as many would take a second


def test_a_secret_that_appears_only_after_composing_is_refused() -> None:
    plain = next(each for each in (mint("user").plain for _ in range(1_000)) if "K" in each)
    with pytest.raises(BadText, match="contains the secret or a bearer"):
        checked_name(plain.replace("K", "\u212a"))


@pytest.mark.parametrize("code", REFUSED)
def test_control_and_direction_characters_are_refused_by_name(code: int) -> None:
    with pytest.raises(BadText, match=rf"name contains U\+{code:04X};") as refused:
        checked_name(f"a{chr(code)}b")
    assert refused.value.facts == {"field": "name"}
    assert chr(code) not in str(refused.value)


@given(st.text())
def test_an_escaped_text_is_accepted(text: str) -> None:
    assert not any(ord(character) in REFUSED for character in escaped(text))
    assert escaped(text) == text or any(ord(character) in REFUSED or not character.isprintable() for character in text)


@given(st.text(alphabet=st.characters(categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1))
def test_no_control_surrogate_or_line_separator_passes(text: str) -> None:
    with pytest.raises(BadText):
        checked("text", text, 1_000)


@given(st.characters(exclude_categories=["Cs"]))
def test_an_accepted_text_has_no_direction_characters_and_can_be_encoded(character: str) -> None:
    try:
        checked("text", character, 1)
    except BadText:
        return
    assert unicodedata.bidirectional(character) not in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    character.encode()


def test_the_limit_counts_characters() -> None:
    assert checked("name", "é" * 255, 255) == "é" * 255
    with pytest.raises(BadText, match="name has 256 characters; it may have at most 255"):
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


def test_a_secret_is_refused_as_text_and_as_a_key() -> None:
    plain = mint("user").plain
    with pytest.raises(BadText, match="contains the secret or a bearer of a token") as refused:
        checked_name(f"found {plain} in a log")
    assert plain not in str(refused.value)
    with pytest.raises(BadText, match="contains the secret or a bearer of a token"):
        checked("description", f"cfl_user_{'A' * 46}{plain}", 32_767)
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
