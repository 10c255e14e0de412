"""The description of a parser for fuzzing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from counterfoil.core import secret

ID = "01a20070-9783-75f2-ab79-af3b16925535"
SECRET = secret.mint("service").plain
BASIC = "dXNlckBleGFtcGxlLm9yZzpwYXNzd29yZA=="


@dataclass(frozen=True)
class Parser:
    """One parser: `covers` are the functions, as `module:name`, that are reached through it."""

    call: Callable[[Any], object]
    valid: SearchStrategy[str]
    refusals: tuple[type[Exception], ...] = ()
    covers: tuple[str, ...] = ()
    in_bytes: bool = False
    known: tuple[str, ...] = ()
    """Beginnings after which something endless may follow."""


def oneof(*texts: str) -> SearchStrategy[str]:
    return st.sampled_from(texts)
