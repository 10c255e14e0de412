"""Passwords: long enough, and not what everybody tries first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.password import LEAST_CHARACTERS, MOST_BYTES, checked_password
from counterfoil.refusals import BadPassword

EMAIL = "Ada.Lovelace@example.org"
GOOD = (
    "correct mule accumulator nail", "пароль подлиннее этого", "aB3$aB3$aB3$x", "      twelve", "éééééàààààb!",
)  # fmt: skip


@pytest.mark.parametrize("password", GOOD)
def test_any_characters_will_do_if_there_are_enough(password: str) -> None:
    assert checked_password(password, EMAIL) == password


@pytest.mark.parametrize(
    "password",
    [
        "", "short", "x1$Kq9!vPz2", "tab\tin the middle", "nul\x00in the middle", "password1234", "PassWord1234",
        "Passw0rd2025!", "administrator", "correcthorsebatterystaple", "aaaaaaaaaaaa", "abababababab", "abcabcabcabca",
        "123412341234", "abcdefghijklmn", "nmlkjihgfedcb", "qwertyuiopas", "123456789012", "ada.lovelace@example.org",
        "ADA.LOVELACE", "z" * (MOST_BYTES + 1), "\ud800" * 12,
    ],
)  # fmt: skip
def test_what_is_refused_is_not_repeated(password: str) -> None:
    with pytest.raises(BadPassword) as refused:
        checked_password(password, EMAIL)
    assert not password or password not in refused.value.detail
    assert refused.value.facts == {"field": "password"}


@given(st.text())
def test_whatever_is_accepted_is_of_good_length_and_can_be_sent(password: str) -> None:
    try:
        accepted = checked_password(password, EMAIL)
    except BadPassword:
        return
    assert len(accepted) >= LEAST_CHARACTERS
    assert len(accepted.encode()) <= MOST_BYTES
    assert accepted.isprintable()


def test_the_longest_and_the_shortest_are_accepted() -> None:
    longest = ("0123456789abcdef" * (MOST_BYTES // 16))[:MOST_BYTES]
    assert checked_password(longest, EMAIL) == longest
    assert checked_password("x1$Kq9!vPz2&", EMAIL)
