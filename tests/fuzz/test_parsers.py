"""Every parser of foreign bytes returns a value or its own refusal, in time and memory proportional to the input."""

import tracemalloc
from time import thread_time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from fuzz.parser import Parser
from fuzz.shapes import FILLERS, foreign, foreign_bytes
from fuzz.table import PARSERS

SHORT, LONG = 8_000, 64_000
SLOWER = 4
"""A parser may be so many times slower for each byte of a long text than for each byte of a short one; one whose work
grows with the square of the length is eight times slower."""
BYTES_PER_BYTE = 250
"""What a percent sign costs where each is looked at by itself: the standard library makes a string of every one."""
QUICK = 0.1
"""Seconds; the square of `LONG` is thousands of millions of steps."""
EXAMPLES = 30


def read(parser: Parser, given: object) -> object:
    try:
        return parser.call(given)
    except parser.refusals as refusal:
        return refusal


def fuzz(parser: Parser, examples: int) -> None:
    strategy = foreign_bytes(parser.valid) if parser.in_bytes else foreign(parser.valid)

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def reads(given: Any) -> None:
        read(parser, given)

    reads()


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_foreign_bytes_become_a_value_or_a_refusal(name: str) -> None:
    fuzz(PARSERS[name], EXAMPLES)


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(PARSERS))
def test_foreign_bytes_of_a_long_run_become_a_value_or_a_refusal(name: str) -> None:
    fuzz(PARSERS[name], 2_000)


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_well_formed_bytes_are_read(name: str) -> None:
    # Otherwise the fuzzers above would only ever test refusals.
    parser = PARSERS[name]
    answers: list[object] = []

    @settings(max_examples=20, deadline=None, database=None)
    @given(parser.valid)
    def reads(text: str) -> None:
        answers.append(read(parser, shaped(parser, text)))

    reads()
    assert [answer for answer in answers if not isinstance(answer, Exception)]


def shaped(parser: Parser, text: str) -> Any:
    return text.encode("utf-8", "surrogatepass") if parser.in_bytes else text


def endless(parser: Parser, beginning: str, filler: str, length: int) -> Any:
    return shaped(parser, beginning + filler * (length // len(filler)))


def seconds(parser: Parser, given: object) -> float:
    began = thread_time()  # of this thread alone: other load on the machine does not count
    read(parser, given)
    return thread_time() - began


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_long_input_takes_bounded_time(name: str) -> None:
    parser = PARSERS[name]
    for beginning in ("", *parser.known):
        for filler in FILLERS:
            short, long = (endless(parser, beginning, filler, length) for length in (SHORT, LONG))
            if seconds(parser, long) > QUICK:  # shorter times say nothing, and a machine may pause
                allowed = SLOWER * LONG / SHORT * min(seconds(parser, short) for _ in range(3))
                assert min(seconds(parser, long) for _ in range(3)) <= max(QUICK, allowed), (beginning, filler)


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_long_input_takes_bounded_memory(name: str) -> None:
    parser = PARSERS[name]
    tracemalloc.start()
    try:
        for beginning in ("", *parser.known):
            for filler in FILLERS:
                given = endless(parser, beginning, filler, SHORT)
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                read(parser, given)
                peak = tracemalloc.get_traced_memory()[1] - before
                assert peak <= BYTES_PER_BYTE * SHORT, (beginning, filler, peak)
    finally:
        tracemalloc.stop()
