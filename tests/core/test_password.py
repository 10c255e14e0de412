"""Passwords: long enough, and not among the first guesses."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.password import LEAST_CHARACTERS, MOST_BYTES, checked_password, one_spelling
from counterfoil.core.refusals import BadPassword

EMAIL = "Ada.Lovelace@example.org"
GOOD = (
    "correct mule accumulator nail", "пароль подлиннее этого", "aB3$aB3$aB3$x", "      twelve", "éééééàààààb!",
)  # fmt: skip


@pytest.mark.parametrize("password", GOOD)
def test_any_characters_are_accepted_if_there_are_enough(password: str) -> None:
    assert checked_password(password, EMAIL) == password


@pytest.mark.parametrize(
    "password",
    [
        "", "short", "x1$Kq9!vPz2", "tab\tin the middle", "nul\x00in the middle", "password1234", "PassWord1234",
        "Passw0rd2025!", "administrator", "correcthorsebatterystaple", "aaaaaaaaaaaa", "abababababab", "abcabcabcabca",
        "123412341234", "abcdefghijklmn", "nmlkjihgfedcb", "qwertyuiopas", "123456789012", "ada.lovelace@example.org",
        "ADA.LOVELACE", "z" * (MOST_BYTES + 1), "new\u0378 letters", "\ud800" * 12,
        "00000000\u00b4\u00b4",
    ],
)  # fmt: skip
def test_a_refusal_does_not_repeat_the_password(password: str) -> None:
    with pytest.raises(BadPassword) as refused:
        checked_password(password, EMAIL)
    assert not password or password not in refused.value.detail
    assert refused.value.facts == {"field": "password"}


@given(st.text())
def test_an_accepted_password_has_a_valid_length_and_can_be_sent(password: str) -> None:
    try:
        accepted = checked_password(password, EMAIL)
    except BadPassword:
        return
    assert len(accepted) >= LEAST_CHARACTERS
    assert len(accepted.encode()) <= MOST_BYTES
    assert not any(each < " " or each == "\x7f" for each in accepted)
    assert one_spelling(one_spelling(accepted)) == one_spelling(accepted)


def test_the_longest_and_the_shortest_are_accepted() -> None:
    longest = ("0123456789abcdef" * (MOST_BYTES // 16))[:MOST_BYTES]
    assert checked_password(longest, EMAIL) == longest
    assert checked_password("x1$Kq9!vPz2&", EMAIL)


@pytest.mark.parametrize("space", "\u00a0\u1680\u2000\u2002\u200a\u202f\u205f\u3000")
def test_other_spaces_are_accepted_as_spaces(space: str) -> None:
    password = f"correct{space}mule{space}nail"
    assert checked_password(password, EMAIL) == password
    assert one_spelling(password) == "correct mule nail"


def test_a_password_hashed_before_spaces_were_mapped_is_read_as_it_was() -> None:
    for password in (*GOOD, "\ufb01ne \uff2dule, cafe\u0301", "\u00bd a cup of it"):
        assert one_spelling(password) == unicodedata.normalize("NFKC", password)


def test_an_email_address_is_refused_as_a_password_in_any_spelling() -> None:
    for password in ("jos\u00e9@xn--bcher-kva.example", "JOSE\u0301@b\u00fccher.example", "a long local part"):
        with pytest.raises(BadPassword, match="e-mail"):
            checked_password(password, "A Long Local Part@x" if " " in password else "jos\u00e9@b\u00fccher.example")


def test_an_overlong_password_is_refused_before_it_is_composed() -> None:
    assert one_spelling(long := "e\u0301" * (2 * MOST_BYTES + 1)) == long
