"""Whatever a token's name contains, an event is one line of JSON that is harmless to a terminal."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from counterfoil.core.codec import canonical
from counterfoil.postgres.sealed_log import SealedEvent
from counterfoil_api.events.lines import Sight, document, lines, place, printable

ACCOUNT, OTHER, SUBJECT = UUID(int=1), UUID(int=2), UUID(int=3)
SIGHT = Sight(ACCOUNT, users=True)


def event(text: str, *, kind: str = "token", account: UUID = ACCOUNT) -> SealedEvent:
    entry = canonical({"data": {"name": text}}).decode()
    private = canonical({"name": text}).decode()
    return SealedEvent(17, account, kind, SUBJECT, 1, "created", datetime.now(UTC), entry, private, b"s" * 32)


@given(text=st.text())
@example(text="nul \0, escape \x1b[31m, delete \x7f, line\nbreak\r")
@example(text="next \u2028 line \u0085, \u202eright to left\u2066, \ufeff, \U000e0041")
@example(text='quote " backslash \\u202e and é 🎫')
def test_any_name_is_read_back_from_its_line(text: str) -> None:
    one = event(text)
    printed = lines([one, one], SIGHT).decode()
    assert len(printed.splitlines()) == 2
    assert all(each.isprintable() or each == "\n" or each not in _ESCAPED for each in printed)
    assert [json.loads(line) for line in printed.splitlines()] == 2 * [
        {"position": 17, "entry": one.entry, "private": {"text": one.private, "salt": "c3Nz" * 10 + "c3M="}}
    ]


_ESCAPED = {
    *map(chr, range(0xA0)), *map(chr, range(0x2028, 0x202F)), *map(chr, range(0x2060, 0x2070)), "\ufeff", "\u00ad",
}  # fmt: skip
"""Characters that move or hide text. Other unprintable ones, such as blanks of other scripts, do nothing."""


def test_a_private_part_is_shown_to_a_caller_who_may_see_it() -> None:
    narrow = replace(SIGHT, users=False)
    assert document(event("a"), narrow).private is not None
    assert document(event("a", kind="user"), SIGHT).private is not None
    assert document(event("a", kind="user"), narrow).private is None
    assert document(event("a", account=OTHER), SIGHT).private is None
    assert document(event("a")._replace(private=None, salt=None), SIGHT).private is None


def test_a_position_is_a_line() -> None:
    assert place(17) == b'{"position":17}\n'
    assert printable(b'{"a":1}') == b'{"a":1}'
