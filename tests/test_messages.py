"""What every message keeps to; `python -m tests.messages` lists them all for a person to read."""

import re

import pytest

from counterfoil.core.refusals import Refusal
from counterfoil_api.http.problems import KINDS
from messages.found import Message, every_message

LEAKS = re.compile(
    r"RFC3339 encoded|msgspec|asyncpg|badly formed hexadecimal|ssl:default|Expected `|<class |object at 0x"
)
"""Words of a library or of Python's own, which say nothing to somebody who only called us."""


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return list(every_message())


def everything(kind: type[Refusal]) -> set[type[Refusal]]:
    return {kind}.union(*(everything(each) for each in kind.__subclasses__()))


def test_the_list_of_messages_reaches_every_room(messages: list[Message]) -> None:
    assert {message.room for message in messages} >= {"refusals", "settings", "cli", "api", "core"}
    assert len(messages) > 400


def test_no_message_quotes_a_library(messages: list[Message]) -> None:
    assert [message for message in messages if LEAKS.search(message.text)] == []


@pytest.mark.parametrize("kind", sorted(everything(Refusal), key=repr))
def test_every_refusal_is_a_whole_sentence(kind: type[Refusal]) -> None:
    sentence = kind.__doc__ or ""
    assert sentence[:1].isupper() or sentence.startswith("If-")
    assert sentence.endswith(".")
    assert len(sentence.split()) >= 3


@pytest.mark.parametrize("kind", sorted(KINDS, key=repr))
def test_every_title_is_a_short_phrase_and_differs_from_the_sentence_below_it(kind: type[Refusal]) -> None:
    title = KINDS[kind].title
    assert title[:1].isupper()
    assert not title.endswith(".")
    assert len(title) <= 60
    assert title != (kind.__doc__ or "").rstrip(".")
