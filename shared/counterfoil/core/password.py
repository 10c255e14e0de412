"""Which passwords are allowed (NIST SP 800-63B): long enough, not a common one, and of any letters.

The list has only common passwords of full length: a shorter one is refused for its length.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import product
from typing import Final

from counterfoil.core.emails import canonical
from counterfoil.core.refusals import BadPassword

LEAST_CHARACTERS: Final = 12
MOST_BYTES: Final = 1_024

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SPACES: Final = {ord(each): " " for each in map(chr, range(0x3001)) if unicodedata.category(each) == "Zs"}
_UNASSIGNED: Final = ("Cn", "Cs")
_FIRST: Final = (
    "password", "passw0rd", "p@ssword", "p@ssw0rd", "qwerty", "qwertyuiop", "letmein", "welcome", "iloveyou", "monkey",
    "dragon", "sunshine", "princess", "football", "baseball", "superman", "batman", "trustno1", "master", "shadow",
    "michael", "charlie", "computer", "internet", "starwars", "whatever", "admin", "administrator", "root", "changeme",
    "default", "secret", "test", "guest", "login", "access", "summer", "winter", "spring", "autumn", "counterfoil",
)  # fmt: skip
_LAST: Final = (
    "", "1", "12", "123", "1234", "12345", "123456", "1234567", "12345678", "123456789", "1234567890", "!", "!!",
    "123!", "1234!", "@123", "@1234", "#123", "2020", "2021", "2022", "2023", "2024", "2025", "2026", "2027", "2024!",
    "2025!", "2026!",
)  # fmt: skip
_WHOLE: Final = (
    "passwordpassword", "adminadminadmin", "administrator", "correcthorsebatterystaple", "letmeinletmein",
    "letmeinplease", "iloveyousomuch", "iloveyouforever", "thisismypassword", "mypasswordis", "mypassword123",
    "newpassword1", "changemenow!", "changeme1234", "welcometohell", "trustno1trustno1", "asdfghjkl123", "asdfghjkl;'",
    "zxcvbnm12345", "1q2w3e4r5t6y", "1q2w3e4r5t6y7u8i", "1qaz2wsx3edc", "1qaz2wsx3edc4rfv", "qazwsxedcrfv",
    "qazwsxedc123", "q1w2e3r4t5y6", "qwertyasdfgh", "qwertyuiop[]", "qwerty1qwerty1", "abc123abc123", "abcd1234abcd",
    "a1b2c3d4e5f6", "aaaabbbbcccc", "111122223333", "112233445566", "11223344556677", "123123123123", "123321123321",
    "102030405060", "314159265358", "314159265359", "271828182845", "blink182blink", "manchesterunited",
    "liverpoolfc1", "chelseafc123", "starwars1977", "harrypotter1", "harrypotter7", "spiderman123", "metallica123",
    "slipknot6666", "jesuschrist1", "godisgood123", "unbelievable", "californication", "basketball12", "basketball23",
    "sunshine1234", "chocolate123",
)  # fmt: skip
_COMMON: Final = frozenset({*map("".join, product(_FIRST, _LAST)), *_WHOLE})
_ROWS: Final = (
    "abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn", "`1234567890-=qwertyuiop[]", "!@#$%^&*()_+",
)  # fmt: skip


def one_spelling(password: str) -> str:
    """Return the password as it is hashed and compared: any space is U+0020 (RFC 8265 4.2.2), and an é is one é.

    It is composed with compatibility mappings (NFKC), as NIST SP 800-63B has it and as all hashes were made.
    """
    # Composing takes quadratic time, and no stored password is longer.
    return password if len(password) > 4 * MOST_BYTES else unicodedata.normalize("NFKC", password.translate(_SPACES))


def checked_password(password: str, email: str) -> str:
    """Return the password as given, or raise BadPassword, which does not repeat it."""
    composed = one_spelling(password)
    if min(len(password), len(composed)) < LEAST_CHARACTERS:  # composing may add characters, too
        raise BadPassword(f"A password has at least {LEAST_CHARACTERS} characters.", field="password")
    if len(password.encode(errors="replace")) > MOST_BYTES:
        raise BadPassword(f"A password has at most {MOST_BYTES} bytes.", field="password")
    if _CONTROL.search(composed):  # an Authorization header cannot carry it (RFC 7617 2)
        raise BadPassword("A password must not contain control characters.", field="password")
    # A later Unicode may compose an unknown character differently.
    if any(unicodedata.category(each) in _UNASSIGNED for each in composed):
        raise BadPassword(
            f"A password must not contain characters that Unicode {unicodedata.unidata_version} does not know.",
            field="password",
        )
    folded, address = composed.casefold(), canonical(email)
    if canonical(password) in {address, address.rpartition("@")[0]}:
        raise BadPassword("A password must not be the user's e-mail address; choose another one.", field="password")
    if folded in _COMMON or _is_pattern(folded):
        raise BadPassword("This password is on the list of common passwords; choose another one.", field="password")
    return password


def _is_pattern(text: str) -> bool:
    """Say whether it is a few characters repeated, or a run along the alphabet, the digits or a keyboard."""
    if any(text == (text[:length] * len(text))[: len(text)] for length in range(1, 5)):
        return True
    return any(text in row or text in row[::-1] for row in _ROWS)
