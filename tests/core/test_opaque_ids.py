"""Opaque ids: stable, opened only with the key that made them, and impossible to guess."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.opaque_ids import OpaqueIds

IDS = OpaqueIds(b"k" * 32)
ACCOUNT, OTHER = UUID(int=1), UUID(int=2)


@given(st.binary(min_size=1, max_size=32), st.integers(4, 16))
def test_an_id_is_opened_only_with_the_key_that_made_it(value: bytes, tag: int) -> None:
    sealed = IDS.encrypted("token", ACCOUNT, value, tag=tag)
    assert len(sealed) == len(value) + tag
    assert sealed == IDS.encrypted("token", ACCOUNT, value, tag=tag)
    assert IDS.decrypted("token", ACCOUNT, sealed, tag=tag) == value
    elsewhere = [
        IDS.decrypted("user", ACCOUNT, sealed, tag=tag),
        IDS.decrypted("token", OTHER, sealed, tag=tag),
        OpaqueIds(b"j" * 32).decrypted("token", ACCOUNT, sealed, tag=tag),
    ]
    assert elsewhere == [None, None, None]


@given(st.integers(0, 2**56 - 1), st.integers(0, 95))
def test_a_number_has_24_digits_and_a_changed_bit_opens_nothing(number: int, bit: int) -> None:
    text = IDS.number24("token", ACCOUNT, number)
    assert len(text) == 24
    assert IDS.number_of24("token", ACCOUNT, text) == number
    changed = (int(text, 16) ^ (1 << bit)).to_bytes(12, "big").hex()
    assert IDS.number_of24("token", ACCOUNT, changed) is None


def test_ids_of_consecutive_numbers_are_not_alike() -> None:
    texts = [IDS.number24("token", ACCOUNT, number) for number in range(2_000)]
    assert len(set(texts)) == len(texts)
    for position in range(24):
        assert len({text[position] for text in texts}) == 16


def test_an_invalid_id_opens_nothing() -> None:
    for text in ("", "0" * 23, "0" * 25, "G" * 24, "0" * 24, "A" * 24, "\u0660" * 24):
        assert IDS.number_of24("token", ACCOUNT, text) is None
    assert IDS.decrypted("token", ACCOUNT, b"", tag=5) is None
    assert IDS.decrypted("token", ACCOUNT, b"12345", tag=5) is None
